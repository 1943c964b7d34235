// @ts-check
/** The canvas: where the photo lies on the screen, and drawing it from tiles. */
import { Tiles } from "./tiles.js";
import { boxOfTile, fitted, panned, sharpLevel, tilesIn, zoomed } from "./view_geometry.js";

/** @typedef {import("./document_state.js").Photo} Photo */
/** @typedef {import("./tiles.js").TileKey} TileKey */
/** @typedef {{path: string, query: string}} Layer the photo or a result */

const FRAME_INTERVAL = 90; // ms between two frames of an animation
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
    Object.assign(this, fitted(this.photo, this));
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
    if (this.photo) this.#moveTo(zoomed(this, factor, x, y, this.photo, this));
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    if (this.photo) this.#moveTo(panned(this, dx, dy, this.photo, this));
  }

  /** @param {import("./view_geometry.js").Place} place */
  #moveTo(place) {
    Object.assign(this, place);
    this.fitted = false;
    this.redraw();
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

  /** Draw a layer, over the last complete one where tiles are missing. Return those. @param {Layer} layer @param {number} left @param {number} right */
  #drawCovered(layer, left, right) {
    const missing = this.#missingTiles(layer, left, right);
    const { complete } = this;
    if (!missing.length) this.complete = layer;
    else if (complete && complete.path + complete.query !== layer.path + layer.query) this.#drawLayer(complete, left, right);
    this.#drawLayer(layer, left, right);
    return missing;
  }

  /** The tiles to fetch: the coarsest, which stand in for others, and the sharp ones. @param {Layer} layer @param {number} left @param {number} right */
  #missingTiles(layer, left, right) {
    const levels = new Set([this.#levels, this.#sharpLevel]);
    return [...levels].flatMap((level) => this.#visibleTiles(layer, level, left, right)).filter((tile) => !this.tiles.get(tile));
  }

  /** Draw a layer between two x of the canvas, and coarse tiles where sharp ones are missing. @param {Layer} layer @param {number} left @param {number} right */
  #drawLayer(layer, left, right) {
    const { context } = this;
    const sharpTiles = this.#visibleTiles(layer, this.#sharpLevel, left, right);
    const isSharp = sharpTiles.every((tile) => this.tiles.get(tile));
    const coarse = isSharp ? [] : [this.#levels, Math.min(this.#levels, this.#sharpLevel + 1)];
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, this.height);
    context.clip();
    context.imageSmoothingEnabled = this.scale * devicePixelRatio < 3;
    context.imageSmoothingQuality = "high";
    for (const level of new Set([...coarse, this.#sharpLevel]))
      for (const tile of this.#visibleTiles(layer, level, left, right)) this.#drawTile(tile);
    context.restore();
  }

  /** The coarsest level of the photo. */
  get #levels() {
    return /** @type {Photo} */ (this.photo).levels;
  }

  get #sharpLevel() {
    return sharpLevel(this.#levels, this.scale * devicePixelRatio);
  }

  /** @param {Layer} layer @param {number} level @param {number} left @param {number} right @returns {TileKey[]} */
  #visibleTiles(layer, level, left, right) {
    const photo = /** @type {Photo} */ (this.photo);
    const part = [...this.toPhoto(left, 0), ...this.toPhoto(right, this.height)];
    return tilesIn(photo, level, part).map((position) => ({ ...layer, ...position }));
  }

  /** Draw a tile if it is in the cache. @param {TileKey} tile */
  #drawTile(tile) {
    const bitmap = this.tiles.get(tile);
    if (!bitmap) return;
    const [left, top, right, bottom] = boxOfTile(/** @type {Photo} */ (this.photo), tile);
    // whole screen pixels: no seams between tiles
    const snap = (/** @type {number} */ v) => Math.round(v * devicePixelRatio) / devicePixelRatio;
    const [x0, y0] = this.toCanvas(left, top).map(snap);
    const [x1, y1] = this.toCanvas(right, bottom).map(snap);
    this.context.drawImage(bitmap, x0, y0, x1 - x0, y1 - y0);
  }
}
