// @ts-check
/** What a later attempt changed outside the dashed line that was shown before. */
import { byId } from "./app.js";
import { pathOf } from "./draw.js";
import { shownCandidate } from "./result.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */

const MIN_SHARE = 0.03; // of the changed pixels; below it the two lines look the same
const MAX_SIDE = 256; // px that the areas are compared at

let compared = ""; // the result, candidate and outline that the share is of
let share = 0; // of the changed pixels that lie outside the outline

/** @param {App} app */
export function setUpWidened(app) {
  app.listeners.add(() => {
    const candidate = shownCandidate(app);
    const isWider = Boolean(candidate) && shareOutside(app, candidate) > MIN_SHARE;
    app.widened = isWider && candidate ? candidate.paths : null;
    byId("widened").hidden = !isWider;
    byId("widened").textContent = isWider ? text("result.widened", { percent: Math.round(share * 100) }) : "";
  });
}

/** @param {App} app @param {import("./result.js").Candidate} [candidate] */
function shareOutside(app, candidate) {
  const outline = candidate && app.doc.selections.length ? app.finder.exactOutline(app.doc) : null;
  if (!candidate || !outline?.paths.length) return 0;
  const key = JSON.stringify([app.doc.result, app.doc.candidate, outline.dilate, outline.paths.length]);
  if (key !== compared) [compared, share] = [key, computeShare(candidate, outline.paths)];
  return share;
}

/** @param {import("./result.js").Candidate} candidate @param {number[][]} outline */
function computeShare({ box, paths }, outline) {
  const [width, height] = [box[2] - box[0], box[3] - box[1]];
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.scale(scale, scale);
  context.translate(-box[0], -box[1]);
  const countFilled = () => {
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    return data.reduce((count, value, i) => count + Number(i % 4 === 3 && value > 127), 0);
  };
  context.fill(pathOf(paths), "evenodd");
  const changed = countFilled();
  context.globalCompositeOperation = "destination-out";
  context.fill(pathOf(outline), "evenodd");
  return changed ? countFilled() / changed : 0;
}
