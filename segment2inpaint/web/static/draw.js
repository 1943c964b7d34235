// @ts-check
/** The overlay of the photo: masks, outlines, clicks, the box, the brush stroke and the crosshair. */
import { protectedBox } from "./document_state.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view.js").View} View */
/** @typedef {CanvasRenderingContext2D} Context */

const DASH_LENGTH = 7; // px of the moving dashes
const DOT_LENGTH = 3; // px of a dotted line
const DASH_SPEED = 60; // ms per px

/** @type {Partial<Record<import("./app.js").Tool, string>>} */
const STROKE_COLORS = { brush: "rgb(40 200 120 / 50%)", subtract: "rgb(255 255 255 / 55%)", erase: "rgb(235 60 80 / 50%)" };

/** @param {number} id of a selection or an object */
export const hue = (id) => (id * 137 + 120) % 360;

/** @type {WeakMap<object, Path2D>} */
const pathCache = new WeakMap();

/** The contours of a mask as a path in photo px. @param {number[][]} contours */
export function pathOf(contours) {
  const cached = pathCache.get(contours);
  if (cached) return cached;
  const path = new Path2D();
  for (const contour of contours) {
    for (let i = 0; i < contour.length; i += 2) path[i ? "lineTo" : "moveTo"](contour[i] + 0.5, contour[i + 1] + 0.5);
    path.closePath();
  }
  pathCache.set(contours, path);
  return path;
}

/** @type {Context|undefined} */
let measuring;

/** Whether a pixel lies inside contours. @param {number[][]} paths @param {number[]} pixel */
export function containsPixel(paths, [x, y]) {
  measuring ??= /** @type {Context} */ (document.createElement("canvas").getContext("2d"));
  return measuring.isPointInPath(pathOf(paths), x + 0.5, y + 0.5, "evenodd");
}

/** @param {App} app @param {View} view @param {Context} context */
export function drawOverlay(app, view, context) {
  const { doc } = app;
  if (!doc.photo) return;
  view.animated = false;
  if (doc.job && app.preview?.job === doc.job) {
    const { bitmap, box } = app.preview;
    inPhotoCoordinates(view, context, () => context.drawImage(bitmap, box[0], box[1], box[2] - box[0], box[3] - box[1]));
    inPhotoCoordinates(view, context, () => drawOutline(app, view, context));
  } else if (!doc.result) {
    inPhotoCoordinates(view, context, () => drawMasks(app, view, context));
    inPhotoCoordinates(view, context, () => drawHover(app, view, context));
    drawClicks(app, view, context);
  }
  if (doc.result && app.compares && app.widened) inPhotoCoordinates(view, context, () => drawThinLine(view, context, pathOf(app.widened ?? [])));
  if (app.dragBox) drawDashedBox(view, context, app.dragBox.from, app.dragBox.to);
  if (app.stroke) drawStroke(app, view, context);
  if (app.cursor) drawCursor(app, view, context, app.cursor);
}

/** @param {View} view @param {Context} context @param {() => void} draw */
function inPhotoCoordinates(view, context, draw) {
  context.save();
  context.translate(view.x, view.y);
  context.scale(view.scale, view.scale);
  draw();
  context.restore();
}

/** @param {App} app @param {View} view @param {Context} context */
function drawMasks(app, view, context) {
  const { doc } = app;
  const px = 1 / view.scale;
  (app.suggestions?.objects ?? []).forEach((object, index) => drawSuggestion(context, object, index, px));
  app.distractions?.draw(view, context);
  for (const selection of doc.selections) {
    const box = protectedBox(selection);
    const objects = box ? [{ paths: [cornersOf(box)] }] : app.finder.latestAnswer(doc, selection).objects;
    const pending = app.finder.answerFor(doc, selection).state === "pending";
    const isActive = selection.id === doc.active;
    for (const { paths } of objects) {
      context.fillStyle = doc.refine.invert ? "transparent" : `hsl(${hue(selection.id)} 95% 50% / ${pending ? 0.25 : 0.42})`;
      context.fill(pathOf(paths), "evenodd");
      context.strokeStyle = `hsl(${hue(selection.id)} 95% ${isActive ? 62 : 50}%)`;
      context.lineWidth = (isActive ? 2 : 1.25) * px;
      context.stroke(pathOf(paths));
    }
  }
  drawOutline(app, view, context);
}

/** The corners of a box as a path, x, y, x, y, ... @param {number[]} box */
const cornersOf = ([x0, y0, x1, y1]) => [x0, y0, x1, y0, x1, y1, x0, y1];

/** Draw the outline of what will change. @param {App} app @param {View} view @param {Context} context */
function drawOutline(app, view, context) {
  const { selections, refine } = app.doc;
  const outline = selections.length ? app.finder.outline(app.doc) : null;
  if (!outline?.paths.length) return;
  if (refine.invert) {
    context.fillStyle = `hsl(${hue(selections[0].id)} 95% 50% / 0.42)`; // everything but the objects
    context.fill(pathOf(outline.paths), "evenodd");
  }
  drawMovingDashes(view, context, pathOf(outline.paths), 1 / view.scale);
}

/** @param {Context} context @param {import("./objects.js").DetectedObject} object @param {number} index @param {number} px */
function drawSuggestion(context, object, index, px) {
  const path = pathOf(object.paths);
  context.fillStyle = `hsl(${hue(index)} 90% 55% / 0.22)`;
  context.fill(path, "evenodd");
  context.strokeStyle = `hsl(${hue(index)} 90% 60%)`;
  context.lineWidth = 1.5 * px;
  context.stroke(path);
}

/** Draw what a click at the pointer would select. @param {App} app @param {View} view @param {Context} context */
function drawHover(app, view, context) {
  if (!app.hover) return;
  const path = pathOf(app.hover);
  context.fillStyle = "hsl(205 95% 60% / 0.2)";
  context.fill(path, "evenodd");
  drawThinLine(view, context, path);
}

/** Draw contours as a thin dotted line. @param {View} view @param {Context} context @param {number[][]} paths */
export function drawQuietLine(view, context, paths) {
  context.setLineDash([DOT_LENGTH / view.scale, DOT_LENGTH / view.scale]);
  drawThinLine(view, context, pathOf(paths));
  context.setLineDash([]);
}

/** Draw a white line with a dark edge. @param {View} view @param {Context} context @param {Path2D} path */
function drawThinLine(view, context, path) {
  for (const [color, width] of /** @type {[string, number][]} */ ([["#0009", 3.5], ["#fff", 1.5]])) {
    context.strokeStyle = color;
    context.lineWidth = width / view.scale;
    context.stroke(path);
  }
}

/** Draw a dashed line that moves, unless the user prefers reduced motion. @param {View} view @param {Context} context @param {Path2D} path @param {number} px */
function drawMovingDashes(view, context, path, px) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  view.animated = !still && !document.hidden;
  context.lineWidth = 1.5 * px;
  context.strokeStyle = "#000b";
  context.stroke(path);
  context.strokeStyle = "#fff";
  context.setLineDash([DASH_LENGTH * px, DASH_LENGTH * px]);
  context.lineDashOffset = still ? 0 : -((performance.now() / DASH_SPEED) % (2 * DASH_LENGTH)) * px;
  context.stroke(path);
  context.setLineDash([]);
}

/** @param {App} app @param {View} view @param {Context} context */
function drawClicks(app, view, context) {
  for (const selection of app.doc.selections) {
    const pending = app.finder.answerFor(app.doc, selection).state === "pending";
    if (selection.box && selection.id === app.doc.active)
      drawDashedBox(view, context, [selection.box[0], selection.box[1]], [selection.box[2], selection.box[3]]);
    const included = [...selection.include, ...(selection.color ? [selection.color.at] : [])];
    for (const point of included) drawPoint(view, context, point, true, pending);
    for (const point of selection.exclude) drawPoint(view, context, point, false, pending);
  }
}

/** Draw a click as a plus or a minus. @param {View} view @param {Context} context @param {number[]} point @param {boolean} included @param {boolean} pending */
function drawPoint(view, context, [x, y], included, pending) {
  const [cx, cy] = view.toCanvas(x + 0.5, y + 0.5);
  context.beginPath();
  context.arc(cx, cy, 6, 0, 7);
  context.fillStyle = included ? "#1b8a4c" : "#c62f26";
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = "#fff";
  context.stroke();
  context.beginPath();
  context.moveTo(cx - 3, cy);
  context.lineTo(cx + 3, cy);
  if (included) context.moveTo(cx, cy - 3), context.lineTo(cx, cy + 3);
  context.lineWidth = 1.5;
  context.stroke();
  if (pending) drawSpinner(view, context, cx, cy);
}

/** @param {View} view @param {Context} context @param {number} cx @param {number} cy */
function drawSpinner(view, context, cx, cy) {
  view.animated = true;
  const angle = performance.now() / 160;
  context.beginPath();
  context.arc(cx, cy, 12, angle, angle + 4);
  context.lineWidth = 2.5;
  context.strokeStyle = "#fff";
  context.stroke();
}

/** @param {View} view @param {Context} context @param {number[]} from @param {number[]} to */
function drawDashedBox(view, context, from, to) {
  const [x0, y0] = view.toCanvas(from[0], from[1]);
  const [x1, y1] = view.toCanvas(to[0], to[1]);
  context.lineWidth = 1.5;
  context.strokeStyle = "#000a";
  context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  context.setLineDash([6, 5]);
  context.strokeStyle = "#fff";
  context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  context.setLineDash([]);
}

/** @param {App} app @param {View} view @param {Context} context */
function drawStroke(app, view, context) {
  const points = (app.stroke ?? []).map(([x, y]) => view.toCanvas(x, y));
  if (!points.length) return;
  context.beginPath();
  context.moveTo(points[0][0] - 0.01, points[0][1]); // so that a single point is drawn too
  for (const point of points) context.lineTo(...point);
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = 2 * app.radius;
  context.strokeStyle = STROKE_COLORS[app.tool] ?? "transparent";
  context.stroke();
}

/** Draw the outline of the brush, or the crosshair. @param {App} app @param {View} view @param {Context} context @param {number[]} point */
function drawCursor(app, view, context, [x, y]) {
  const [cx, cy] = view.toCanvas(x + 0.5, y + 0.5);
  for (const [color, width] of /** @type {[string, number][]} */ ([["#000a", 3], ["#fff", 1.25]])) {
    context.beginPath();
    if (app.hasBrush) context.arc(cx, cy, app.radius, 0, 7);
    else {
      context.moveTo(cx - 14, cy), context.lineTo(cx - 4, cy);
      context.moveTo(cx + 4, cy), context.lineTo(cx + 14, cy);
      context.moveTo(cx, cy - 14), context.lineTo(cx, cy - 4);
      context.moveTo(cx, cy + 4), context.lineTo(cx, cy + 14);
    }
    context.lineWidth = width;
    context.strokeStyle = color;
    context.stroke();
  }
}
