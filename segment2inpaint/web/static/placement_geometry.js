// @ts-check
/**
 * Where an inserted picture lies in the photo: the geometry of `insertion.py`, and what gestures do
 * to it. Nothing here touches the page.
 *
 * @typedef {import("./document_state.js").Point} Point
 * @typedef {import("./document_state.js").Placement} Placement
 * @typedef {{center: Point, width: number, height: number, angle: number}} Rectangle a turned
 *   rectangle in photo px; the angle is in degrees, clockwise
 */
const [MIN_SCALE, MAX_SCALE] = [0.01, 100]; // those of the server

/**
 * The rectangle of a picture in the photo.
 * @param {number[]} box x0, y0, x1, y1 of the old object
 * @param {Point} size of the picture without its transparent margin
 * @param {Placement} placement @returns {Rectangle}
 */
export function rectangleOf(box, size, { at, scale, angle }) {
  const [boxWidth, boxHeight] = [box[2] - box[0], box[3] - box[1]];
  const factor = scale * Math.min(boxWidth / size[0], boxHeight / size[1]);
  const [width, height] = size.map((side) => Math.max(1, Math.trunc(side * factor)));
  /** @type {Point} */
  let center = at ?? [box[0] + Math.floor((boxWidth - width) / 2) + width / 2, box[3] - height / 2];
  if (angle % 360 === 0) // on whole pixels, so that it stays sharp
    center = [Math.floor(center[0] - width / 2 + 0.5) + width / 2, Math.floor(center[1] - height / 2 + 0.5) + height / 2];
  return { center, width, height, angle };
}

/** @param {Placement} placement @param {Point} center @param {number} dx @param {number} dy in photo px @returns {Placement} */
export const moved = (placement, [x, y], dx, dy) => ({ ...placement, at: [tenth(x + dx), tenth(y + dy)] });

/** Scale around the centre. @param {Placement} placement @param {Point} center @param {number} factor @returns {Placement} */
export function scaled(placement, center, factor) {
  const scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, placement.scale * factor));
  return { ...moved(placement, center, 0, 0), scale: Number(scale.toFixed(4)) };
}

/** Turn around the centre. @param {Placement} placement @param {Point} center @param {number} degrees @returns {Placement} */
export function turned(placement, center, degrees) {
  const angle = (((placement.angle + degrees + 180) % 360) + 360) % 360 - 180;
  return { ...moved(placement, center, 0, 0), angle: tenth(angle) };
}

/**
 * Move, scale and turn as two fingers do.
 * @param {Placement} placement @param {Point} center @param {Point[]} before @param {Point[]} after in photo px @returns {Placement}
 */
export function pinched(placement, center, before, after) {
  const factor = lengthOf(after) / Math.max(1e-6, lengthOf(before));
  const turn = directionOf(after) - directionOf(before);
  const [from, to] = [middleOf(before), middleOf(after)];
  const [x, y] = [(center[0] - from[0]) * factor, (center[1] - from[1]) * factor];
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  /** @type {Point} */
  const newCenter = [to[0] + x * cos - y * sin, to[1] + x * sin + y * cos];
  return turned(scaled(placement, newCenter, factor), newCenter, (turn * 180) / Math.PI);
}

/** The degrees by which a point turns around a centre. @param {Point} center @param {Point} before @param {Point} after */
export const turnBetween = (center, before, after) => ((directionOf([center, after]) - directionOf([center, before])) * 180) / Math.PI;

/** @param {Point[]} points */
export const lengthOf = ([[x0, y0], [x1, y1]]) => Math.hypot(x1 - x0, y1 - y0);

/** @param {Point[]} points */
const directionOf = ([[x0, y0], [x1, y1]]) => Math.atan2(y1 - y0, x1 - x0);

/** @param {Point[]} points @returns {Point} */
const middleOf = ([[x0, y0], [x1, y1]]) => [(x0 + x1) / 2, (y0 + y1) / 2];

/** @param {number} value */
const tenth = (value) => Math.round(value * 10) / 10;
