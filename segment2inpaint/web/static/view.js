// @ts-check
/** The canvas: where the photo lies on the screen, and drawing it from tiles. */
import { TILE_SIDE, Tiles } from "./tiles.js";

/** @typedef {import("./document_state.js").Photo} Photo */
/** @typedef {import("./tiles.js").TileKey} TileKey */
/** @typedef {{path: string, query: string}} Layer the photo or a result */

const MAX_SCALE = 32; // screen px per photo px
const MAX_FIT_SCALE = 8; // of a small photo that is fitted into the canvas
const FRAME_INTERVAL = 90; // ms between two frames of an animation
const MARGIN = 28; // px around a photo that is fitted into the canvas
const NARROW_MARGIN = 10; // px, on a narrow canvas
const NARROW_WIDTH = 600; // px of a canvas
const MIN_VISIBLE = 60; // px of the photo that stay on the canvas
const [MAX_TILES, MAX_TILES_TOUCH] = [200, 80]; // in the cache

export class View {
  /** @param {HTMLCanvasElement} canvas @param {(context: CanvasRenderingContext2D) => void} drawOverlay draws over the photo */
  constructor(canvas, drawOverlay) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.drawOverlay = drawOverlay;
    const touch = matchMedia("(pointer: coarse)").matches;
    this.tiles = new Tiles(() => this.redraw(), touch ? MAX_TILES_TOUCH : MAX_TILES);
    /** @type {Photo|null} */
    this.photo = null;
    /** @type {Layer|null} */
    this.after = null; // the result, shown right of the divider
    /** @type {Layer|null} */
    this.complete = null; // the last layer of which no tile was missing, shown where tiles of another are missing
    this.divider = 0; // position as a fraction of the canvas width
    this.scale = 1; // screen px per photo px
    this.x = 0; // of the photo's top left corner on the canvas
    this.y = 0;
    this.animated = false;
    this.fitted = true;
    new ResizeObserver(() => this.#resize()).observe(canvas);
  }

  get width() {
    return this.canvas.clientWidth;
  }

  get height() {
    return this.canvas.clientHeight;
  }

  /** @param {Photo|null} photo */
  show(photo) {
    const isOther = photo?.id !== this.photo?.id;
    const sameSize = photo && this.photo && photo.width === this.photo.width && photo.height === this.photo.height;
    this.photo = photo;
    if (isOther && !sameSize) {
      this.complete = null;
      this.fit();
    }
    this.redraw();
  }

  /** Show the whole photo. */
  fit() {
    this.fitted = true;
    if (!this.photo || !this.width) return;
    const margin = this.width < NARROW_WIDTH ? NARROW_MARGIN : MARGIN;
    const [width, height] = [this.width - 2 * margin, this.height - 2 * margin];
    const scale = Math.min(width / this.photo.width, height / this.photo.height);
    this.scale = Math.min(Math.max(scale, 0.001), MAX_FIT_SCALE);
    this.x = (this.width - this.photo.width * this.scale) / 2;
    this.y = (this.height - this.photo.height * this.scale) / 2;
    this.redraw();
  }

  /** Show one photo pixel as one pixel of the screen. */
  showActualPixels() {
    this.zoomCentered(1 / devicePixelRatio / this.scale);
  }

  /** @param {number} factor */
  zoomCentered(factor) {
    this.zoom(factor, this.width / 2, this.height / 2);
  }

  /** Zoom around the point (x, y) of the canvas. @param {number} factor @param {number} x @param {number} y */
  zoom(factor, x, y) {
    if (!this.photo) return;
    const minScale = Math.min(1, Math.min(this.width / this.photo.width, this.height / this.photo.height) / 4);
    const scale = Math.min(MAX_SCALE, Math.max(minScale, this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.#keepVisible();
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.#keepVisible();
  }

  /** From canvas to photo coordinates. @param {number} x @param {number} y @returns {[number, number]} */
  toPhoto(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  /** From photo to canvas coordinates. @param {number} x @param {number} y @returns {[number, number]} */
  toCanvas(x, y) {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }

  /** Draw before the next frame, and again while something is animated. */
  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.#draw();
      if (this.animated) this.timer ??= setTimeout(() => ((this.timer = undefined), this.redraw()), FRAME_INTERVAL);
    });
  }

  /** @type {number|undefined} */
  frame;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  timer;

  #keepVisible() {
    const photo = /** @type {Photo} */ (this.photo);
    const [width, height] = [photo.width * this.scale, photo.height * this.scale];
    this.x = Math.min(this.width - MIN_VISIBLE, Math.max(MIN_VISIBLE - width, this.x));
    this.y = Math.min(this.height - MIN_VISIBLE, Math.max(MIN_VISIBLE - height, this.y));
    this.redraw();
  }

  #resize() {
    this.canvas.width = Math.max(1, Math.round(this.width * devicePixelRatio));
    this.canvas.height = Math.max(1, Math.round(this.height * devicePixelRatio));
    if (this.fitted) this.fit();
    this.redraw();
  }

  #draw() {
    const { context } = this;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    if (!this.photo) return;
    context.fillStyle = "#8882"; // until the tiles arrive
    context.fillRect(this.x, this.y, this.photo.width * this.scale, this.photo.height * this.scale);
    const before = { path: `/photos/${this.photo.id}`, query: "" };
    const split = this.after ? this.divider * this.width : this.width;
    /** @type {TileKey[]} */
    const missing = [];
    if (split > 0) missing.push(...this.#drawCovered(before, 0, split));
    if (this.after && split < this.width) missing.push(...this.#drawCovered(this.after, split, this.width));
    this.tiles.fetchOnly(missing);
    this.drawOverlay(context);
  }

  /** Draw a layer, over the last complete one where tiles are missing. @param {Layer} layer @param {number} left @param {number} right */
  #drawCovered(layer, left, right) {
    const missing = this.#drawLayer(layer, left, right);
    if (!missing.length) this.complete = layer;
    else if (this.complete) {
      this.#drawLayer(this.complete, left, right);
      this.#drawLayer(layer, left, right);
    }
    return missing;
  }

  /** Draw a layer between two x of the canvas, sharp tiles over coarse ones. Return the missing tiles. @param {Layer} layer @param {number} left @param {number} right */
  #drawLayer(layer, left, right) {
    const { context } = this;
    const photo = /** @type {Photo} */ (this.photo);
    const sharpest = Math.floor(Math.log2(1 / (this.scale * devicePixelRatio)) + 0.01);
    const level = Math.min(photo.levels, Math.max(0, sharpest));
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, this.height);
    context.clip();
    context.imageSmoothingEnabled = this.scale * devicePixelRatio < 3;
    context.imageSmoothingQuality = "high";
    const missing = [];
    for (const drawn of new Set([photo.levels, Math.min(photo.levels, level + 1), level]))
      for (const tile of this.#visibleTiles(layer, drawn, left, right)) {
        const bitmap = this.tiles.get(tile);
        if (bitmap) this.#drawTile(tile, bitmap);
        else if (drawn === level || drawn === photo.levels) missing.push(tile);
      }
    context.restore();
    return missing;
  }

  /** @param {Layer} layer @param {number} level @param {number} left @param {number} right */
  *#visibleTiles(layer, level, left, right) {
    const photo = /** @type {Photo} */ (this.photo);
    const step = TILE_SIDE * 2 ** level;
    const [x0, y0] = this.toPhoto(left, 0);
    const [x1, y1] = this.toPhoto(right, this.height);
    const [lastColumn, lastRow] = [Math.ceil(photo.width / step) - 1, Math.ceil(photo.height / step) - 1];
    for (let row = Math.max(0, Math.floor(y0 / step)); row <= Math.min(lastRow, y1 / step); row++)
      for (let column = Math.max(0, Math.floor(x0 / step)); column <= Math.min(lastColumn, x1 / step); column++)
        yield { ...layer, level, column, row };
  }

  /** @param {TileKey} tile @param {ImageBitmap} bitmap */
  #drawTile({ level, column, row }, bitmap) {
    const photo = /** @type {Photo} */ (this.photo);
    const step = TILE_SIDE * 2 ** level;
    const right = Math.min(photo.width, (column + 1) * step);
    const bottom = Math.min(photo.height, (row + 1) * step);
    // whole screen pixels: no seams between tiles
    const snap = (/** @type {number} */ v) => Math.round(v * devicePixelRatio) / devicePixelRatio;
    const [x0, y0] = this.toCanvas(column * step, row * step).map(snap);
    const [x1, y1] = this.toCanvas(right, bottom).map(snap);
    this.context.drawImage(bitmap, x0, y0, x1 - x0, y1 - y0);
  }
}
