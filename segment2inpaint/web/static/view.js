// @ts-check
/** The stage: where the photo lies on the screen, and drawing it there from its tiles. */
import { SIDE, Tiles } from "./tiles.js";

/** @typedef {import("./document_state.js").Photo} Photo */
/** @typedef {{path: string, query: string}} Layer */

const CLOSEST = 32; // screen px of a photo px
const TICK = 90; // ms between two pictures of what runs by itself
const MARGIN = 28; // px round a photo that is shown whole
const LITTLE = 10; // where there is little room
const NARROW = 600; // px of a stage

export class View {
  /** @param {HTMLCanvasElement} canvas @param {(context: CanvasRenderingContext2D) => void} over draws over the photo */
  constructor(canvas, over) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.over = over;
    this.tiles = new Tiles(() => this.redraw(), matchMedia("(pointer: coarse)").matches ? 80 : 200);
    /** @type {Photo|null} */
    this.photo = null;
    /** @type {Layer|null} */
    this.after = null;
    this.divide = 0.5;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.animated = false;
    this.fitted = true;
    new ResizeObserver(() => this.#resized()).observe(canvas);
  }

  get width() {
    return this.canvas.clientWidth;
  }

  get height() {
    return this.canvas.clientHeight;
  }

  /** @param {Photo|null} photo */
  show(photo) {
    const other = photo?.id !== this.photo?.id;
    const same = photo && this.photo && photo.width === this.photo.width && photo.height === this.photo.height;
    this.photo = photo;
    if (other && !same) this.fit();
    this.redraw();
  }

  fit() {
    this.fitted = true;
    if (!this.photo || !this.width) return;
    const margin = this.width < NARROW ? LITTLE : MARGIN;
    const room = [this.width - 2 * margin, this.height - 2 * margin];
    const whole = Math.min(room[0] / this.photo.width, room[1] / this.photo.height);
    this.scale = Math.min(Math.max(whole, 0.001), 8);
    this.x = (this.width - this.photo.width * this.scale) / 2;
    this.y = (this.height - this.photo.height * this.scale) / 2;
    this.redraw();
  }

  /** One photo pixel to one pixel of the screen. */
  actual() {
    this.zoom(1 / devicePixelRatio / this.scale, this.width / 2, this.height / 2);
  }

  /** @param {number} factor @param {number} x @param {number} y what stays in its place */
  zoom(factor, x, y) {
    if (!this.photo) return;
    const least = Math.min(this.width / this.photo.width, this.height / this.photo.height) / 4;
    const scale = Math.min(CLOSEST, Math.max(Math.min(least, 1), this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.#hold();
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.#hold();
  }

  /** Photo pixels at a place on the stage. @param {number} x @param {number} y @returns {[number, number]} */
  toPhoto(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  /** @param {number} x @param {number} y @returns {[number, number]} */
  toStage(x, y) {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }

  redraw() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = undefined;
      this.#draw();
      if (this.animated) this.ticking ??= setTimeout(() => ((this.ticking = undefined), this.redraw()), TICK);
    });
  }

  /** @type {number|undefined} */
  asked;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  ticking;

  /** Some of the photo stays on the stage. */
  #hold() {
    const photo = /** @type {Photo} */ (this.photo);
    const [w, h] = [photo.width * this.scale, photo.height * this.scale];
    const edge = 60;
    this.x = Math.min(this.width - edge, Math.max(edge - w, this.x));
    this.y = Math.min(this.height - edge, Math.max(edge - h, this.y));
    this.redraw();
  }

  #resized() {
    const dpr = devicePixelRatio;
    this.canvas.width = Math.max(1, Math.round(this.width * dpr));
    this.canvas.height = Math.max(1, Math.round(this.height * dpr));
    if (this.fitted) this.fit();
    this.redraw();
  }

  #draw() {
    const { context } = this;
    const dpr = devicePixelRatio;
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    if (!this.photo) return;
    context.fillStyle = "#8882"; // where its tiles are still to come
    context.fillRect(this.x, this.y, this.photo.width * this.scale, this.photo.height * this.scale);
    const before = { path: `/photos/${this.photo.id}`, query: "" };
    const split = this.after ? this.divide * this.width : this.width;
    /** @type {import("./tiles.js").Wanted[]} */
    const wanted = [];
    if (split > 0) this.#layer(before, 0, split, wanted);
    if (this.after && split < this.width) this.#layer(this.after, split, this.width, wanted);
    this.tiles.want(wanted);
    this.over(context);
  }

  /** Coarse tiles first, sharp ones over them. @param {Layer} layer @param {number} from @param {number} to @param {import("./tiles.js").Wanted[]} wanted */
  #layer(layer, from, to, wanted) {
    const { context } = this;
    const photo = /** @type {Photo} */ (this.photo);
    const sharp = Math.floor(Math.log2(1 / (this.scale * devicePixelRatio)) + 0.01);
    const level = Math.min(photo.levels, Math.max(0, sharp));
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, this.height);
    context.clip();
    context.imageSmoothingEnabled = this.scale * devicePixelRatio < 3;
    context.imageSmoothingQuality = "high";
    for (const at of new Set([photo.levels, Math.min(photo.levels, level + 1), level]))
      for (const want of this.#seen(layer, at, from, to)) {
        const bitmap = this.tiles.get(want);
        if (bitmap) this.#tile(want, bitmap);
        else if (at === level || at === photo.levels) wanted.push(want);
      }
    context.restore();
  }

  /** @param {Layer} layer @param {number} level @param {number} from @param {number} to */
  *#seen(layer, level, from, to) {
    const photo = /** @type {Photo} */ (this.photo);
    const step = SIDE * 2 ** level;
    const [x0, y0] = this.toPhoto(from, 0);
    const [x1, y1] = this.toPhoto(to, this.height);
    const last = [Math.ceil(photo.width / step) - 1, Math.ceil(photo.height / step) - 1];
    for (let row = Math.max(0, Math.floor(y0 / step)); row <= Math.min(last[1], y1 / step); row++)
      for (let column = Math.max(0, Math.floor(x0 / step)); column <= Math.min(last[0], x1 / step); column++)
        yield { ...layer, level, column, row };
  }

  /** @param {import("./tiles.js").Wanted} want @param {ImageBitmap} bitmap */
  #tile({ level, column, row }, bitmap) {
    const photo = /** @type {Photo} */ (this.photo);
    const step = SIDE * 2 ** level;
    const ends = [Math.min(photo.width, (column + 1) * step), Math.min(photo.height, (row + 1) * step)];
    const dpr = devicePixelRatio;
    const snap = (/** @type {number} */ v) => Math.round(v * dpr) / dpr; // no seams between tiles
    const [x0, y0] = this.toStage(column * step, row * step).map(snap);
    const [x1, y1] = this.toStage(ends[0], ends[1]).map(snap);
    this.context.drawImage(bitmap, x0, y0, x1 - x0, y1 - y0);
  }
}
