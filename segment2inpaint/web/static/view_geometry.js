// @ts-check
/**
 * Where the photo lies on the canvas, and which tiles cover a part of it. Nothing here touches the
 * page.
 *
 * @typedef {{width: number, height: number}} Size
 * @typedef {{x: number, y: number, scale: number}} Place of the photo: its top left corner on the
 *   canvas, and canvas px per photo px
 * @typedef {import("./document_state.js").Photo} Photo
 * @typedef {{level: number, column: number, row: number}} TilePosition a pixel of a tile at level n
 *   covers 2^n by 2^n photo px
 */
const TILE_SIDE = 512; // px
const MAX_SCALE = 32; // canvas px per photo px
const MAX_FIT_SCALE = 8; // of a small photo that is fitted into the canvas
const MARGIN = 28; // px around a photo that is fitted into the canvas
const NARROW_MARGIN = 10; // px, on a narrow canvas
const NARROW_WIDTH = 600; // px of a canvas
const MIN_VISIBLE = 60; // px of the photo that stay on the canvas

/** The place of a whole photo in the middle of the canvas. @param {Size} photo @param {Size} canvas @returns {Place} */
export function fitted(photo, canvas) {
  const margin = canvas.width < NARROW_WIDTH ? NARROW_MARGIN : MARGIN;
  const fit = Math.min((canvas.width - 2 * margin) / photo.width, (canvas.height - 2 * margin) / photo.height);
  const scale = Math.min(Math.max(fit, 0.001), MAX_FIT_SCALE);
  return { x: (canvas.width - photo.width * scale) / 2, y: (canvas.height - photo.height * scale) / 2, scale };
}

/**
 * Zoom around the point (x, y) of the canvas.
 * @param {Place} place @param {number} factor @param {number} x @param {number} y @param {Size} photo @param {Size} canvas @returns {Place}
 */
export function zoomed(place, factor, x, y, photo, canvas) {
  const minScale = Math.min(1, Math.min(canvas.width / photo.width, canvas.height / photo.height) / 4);
  const scale = Math.min(MAX_SCALE, Math.max(minScale, place.scale * factor));
  const moved = { x: x - ((x - place.x) * scale) / place.scale, y: y - ((y - place.y) * scale) / place.scale, scale };
  return keptVisible(moved, photo, canvas);
}

/** @param {Place} place @param {number} dx @param {number} dy @param {Size} photo @param {Size} canvas @returns {Place} */
export const panned = ({ x, y, scale }, dx, dy, photo, canvas) => keptVisible({ x: x + dx, y: y + dy, scale }, photo, canvas);

/** The nearest place at which a part of the photo is on the canvas. @param {Place} place @param {Size} photo @param {Size} canvas @returns {Place} */
function keptVisible({ x, y, scale }, photo, canvas) {
  const clamp = (/** @type {number} */ start, /** @type {number} */ length, /** @type {number} */ room) =>
    Math.min(room - MIN_VISIBLE, Math.max(MIN_VISIBLE - length, start));
  return { x: clamp(x, photo.width * scale, canvas.width), y: clamp(y, photo.height * scale, canvas.height), scale };
}

/** The coarsest level that is sharp at a scale. @param {number} levels of the photo @param {number} scale screen px per photo px */
export function sharpLevel(levels, scale) {
  return Math.min(levels, Math.max(0, Math.floor(Math.log2(1 / scale) + 0.01)));
}

/**
 * The tiles of a level that a part of the photo touches, row by row.
 * @param {Photo} photo @param {number} level @param {number[]} part x0, y0, x1, y1 in photo px, also beyond the photo
 * @returns {TilePosition[]}
 */
export function tilesIn(photo, level, [x0, y0, x1, y1]) {
  const step = TILE_SIDE * 2 ** level;
  const columns = range(x0 / step, x1 / step, photo.width / step);
  return range(y0 / step, y1 / step, photo.height / step).flatMap((row) => columns.map((column) => ({ level, column, row })));
}

/** The whole numbers n for which [n, n + 1) touches a part of [0, end). @param {number} from @param {number} to @param {number} end */
function range(from, to, end) {
  const first = Math.max(0, Math.floor(from));
  const last = Math.min(Math.ceil(end) - 1, Math.floor(to));
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}

/** The part of the photo that a tile shows, x0, y0, x1, y1 in photo px. @param {Photo} photo @param {TilePosition} tile */
export function boxOfTile(photo, { level, column, row }) {
  const step = TILE_SIDE * 2 ** level;
  return [column * step, row * step, Math.min(photo.width, (column + 1) * step), Math.min(photo.height, (row + 1) * step)];
}
