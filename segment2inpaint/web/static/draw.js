// @ts-check
/** What lies over the photo: masks, outlines, clicks, the box and the brush at work. */

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view.js").View} View */

const ANTS = 7; // px of a dash

/** @param {number} id */
export const hue = (id) => (id * 137 + 120) % 360;

/** @type {WeakMap<object, Path2D>} */
const shapes = new WeakMap();

/** @param {number[][]} paths */
export function shapeOf(paths) {
  const known = shapes.get(paths);
  if (known) return known;
  const shape = new Path2D();
  for (const path of paths) {
    for (let i = 0; i < path.length; i += 2) shape[i ? "lineTo" : "moveTo"](path[i] + 0.5, path[i + 1] + 0.5);
    shape.closePath();
  }
  shapes.set(paths, shape);
  return shape;
}

/** @param {App} app @param {View} view @param {CanvasRenderingContext2D} context */
export function drawOver(app, view, context) {
  const { doc } = app;
  if (!doc.photo) return;
  view.animated = false;
  if (doc.job && app.rough?.job === doc.job) {
    const { bitmap, box } = app.rough;
    inPhoto(view, context, () => context.drawImage(bitmap, box[0], box[1], box[2] - box[0], box[3] - box[1]));
    inPhoto(view, context, () => outline(app, view, context));
  } else if (!doc.result) {
    inPhoto(view, context, () => masks(app, view, context));
    clicks(app, view, context);
  }
  if (app.boxing) dashedBox(view, context, app.boxing.from, app.boxing.to);
  if (app.stroke) strokeOf(app, view, context);
  if (app.cursor) cursor(app, view, context, app.cursor);
}

/** @param {View} view @param {CanvasRenderingContext2D} context @param {() => void} draw */
function inPhoto(view, context, draw) {
  context.save();
  context.translate(view.x, view.y);
  context.scale(view.scale, view.scale);
  draw();
  context.restore();
}

/** @param {App} app @param {View} view @param {CanvasRenderingContext2D} context */
function masks(app, view, context) {
  const { doc } = app;
  const px = 1 / view.scale;
  for (const found of app.offered?.objects ?? []) offered(app, context, found, px);
  for (const thing of doc.things) {
    const answer = app.finder.shown(doc, thing);
    const waiting = app.finder.of(doc, thing).state === "pending";
    for (const { paths } of answer.objects) {
      context.fillStyle = doc.refine.invert ? "transparent" : `hsl(${hue(thing.id)} 95% 50% / ${waiting ? 0.25 : 0.42})`;
      context.fill(shapeOf(paths), "evenodd");
      context.strokeStyle = `hsl(${hue(thing.id)} 95% ${thing.id === doc.active ? 62 : 50}%)`;
      context.lineWidth = (thing.id === doc.active ? 2 : 1.25) * px;
      context.stroke(shapeOf(paths));
    }
  }
  outline(app, view, context);
}

/** @param {App} app @param {View} view @param {CanvasRenderingContext2D} context */
function outline(app, view, context) {
  const known = app.doc.things.length ? app.finder.outline(app.doc) : null;
  if (!known?.paths.length) return;
  if (app.doc.refine.invert) {
    context.fillStyle = `hsl(${hue(app.doc.things[0].id)} 95% 50% / 0.42)`; // all but the objects
    context.fill(shapeOf(known.paths), "evenodd");
  }
  ants(view, context, shapeOf(known.paths), 1 / view.scale);
}

/** @param {App} app @param {CanvasRenderingContext2D} context @param {import("./objects.js").Found} found @param {number} px */
function offered(app, context, found, px) {
  const shape = shapeOf(found.paths);
  const number = app.offered?.objects.indexOf(found) ?? 0;
  context.fillStyle = `hsl(${hue(number)} 90% 55% / 0.22)`;
  context.fill(shape, "evenodd");
  context.strokeStyle = `hsl(${hue(number)} 90% 60%)`;
  context.lineWidth = 1.5 * px;
  context.stroke(shape);
}

/** What will change: a line that runs, unless motion is unwanted. @param {View} view @param {CanvasRenderingContext2D} context @param {Path2D} shape @param {number} px */
function ants(view, context, shape, px) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  view.animated = !still && !document.hidden;
  context.lineWidth = 1.5 * px;
  context.strokeStyle = "#000b";
  context.stroke(shape);
  context.strokeStyle = "#fff";
  context.setLineDash([ANTS * px, ANTS * px]);
  context.lineDashOffset = still ? 0 : -((performance.now() / 60) % (2 * ANTS)) * px;
  context.stroke(shape);
  context.setLineDash([]);
}

/** @param {App} app @param {View} view @param {CanvasRenderingContext2D} context */
function clicks(app, view, context) {
  for (const thing of app.doc.things) {
    const known = app.finder.of(app.doc, thing);
    if (thing.box && thing.id === app.doc.active)
      dashedBox(view, context, [thing.box[0], thing.box[1]], [thing.box[2], thing.box[3]]);
    const places = [...thing.include, ...(thing.color ? [thing.color.at] : [])];
    for (const place of places) dot(view, context, place, true, known.state === "pending");
    for (const place of thing.exclude) dot(view, context, place, false, known.state === "pending");
  }
}

/** @param {View} view @param {CanvasRenderingContext2D} context @param {number[]} place @param {boolean} on @param {boolean} waiting */
function dot(view, context, [x, y], on, waiting) {
  const [cx, cy] = view.toStage(x + 0.5, y + 0.5);
  context.beginPath();
  context.arc(cx, cy, 6, 0, 7);
  context.fillStyle = on ? "#1b8a4c" : "#c62f26";
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = "#fff";
  context.stroke();
  context.beginPath();
  context.moveTo(cx - 3, cy);
  context.lineTo(cx + 3, cy);
  if (on) context.moveTo(cx, cy - 3), context.lineTo(cx, cy + 3);
  context.lineWidth = 1.5;
  context.stroke();
  if (!waiting) return;
  view.animated = true;
  const turn = performance.now() / 160;
  context.beginPath();
  context.arc(cx, cy, 12, turn, turn + 4);
  context.lineWidth = 2.5;
  context.strokeStyle = "#fff";
  context.stroke();
}

/** @param {View} view @param {CanvasRenderingContext2D} context @param {number[]} from @param {number[]} to */
function dashedBox(view, context, from, to) {
  const [x0, y0] = view.toStage(from[0], from[1]);
  const [x1, y1] = view.toStage(to[0], to[1]);
  context.lineWidth = 1.5;
  context.strokeStyle = "#000a";
  context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  context.setLineDash([6, 5]);
  context.strokeStyle = "#fff";
  context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  context.setLineDash([]);
}

/** @param {App} app @param {View} view @param {CanvasRenderingContext2D} context */
function strokeOf(app, view, context) {
  const places = (app.stroke ?? []).map(([x, y]) => view.toStage(x, y));
  if (!places.length) return;
  context.beginPath();
  context.moveTo(places[0][0] - 0.01, places[0][1]);
  for (const place of places) context.lineTo(...place);
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = 2 * app.radius;
  context.strokeStyle = app.tool === "erase" ? "rgb(255 255 255 / 55%)" : "rgb(40 200 120 / 50%)";
  context.stroke();
}

/** @param {App} app @param {View} view @param {CanvasRenderingContext2D} context @param {number[]} place */
function cursor(app, view, context, [x, y]) {
  const [cx, cy] = view.toStage(x + 0.5, y + 0.5);
  const round = app.tool === "brush" || app.tool === "erase";
  for (const [color, width] of /** @type {[string, number][]} */ ([["#000a", 3], ["#fff", 1.25]])) {
    context.beginPath();
    if (round) context.arc(cx, cy, app.radius, 0, 7);
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
