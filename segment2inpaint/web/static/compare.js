// @ts-check
/** Before and after: the result alone, the divider between both, and the photo while a key is held. */
import { byId } from "./app.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view.js").View} View */

const STEP = 0.02; // of the canvas width, for an arrow key
const GAP = 26; // px between the changed part and the divider: half its handle, and room
const MARGIN = 0.04; // of the canvas width: the divider starts this far from the edges of the view

let position = MARGIN; // of the divider, as a fraction of the canvas width
let shown = ""; // id of the result that the state is of

/** @param {App} app @param {View} view @param {() => number[]|undefined} changedBox of the result that is shown */
export function setUpCompare(app, view, changedBox) {
  byId("compare").addEventListener("click", (event) => {
    app.compares = !app.compares;
    if (app.compares) placeBeside(view, changedBox());
    focusCanvas(view, event);
    app.notify();
  });
  setUpDivider(view);
  addEventListener("blur", () => app.setShowsBefore(false));
  app.listeners.add(() => render(app, view));
}

/** Give the focus back after a click with a pointer, so that the space bar shows the photo before. @param {View} view @param {MouseEvent} event */
export function focusCanvas(view, { detail }) {
  if (!detail) return; // pressed with the keyboard
  view.canvas.focus({ preventScroll: true });
  view.canvas.classList.add("pointed");
}

/** @param {View} view */
function setUpDivider(view) {
  const divider = byId("divider");
  const moveToPointer = (/** @type {PointerEvent} */ { clientX }) =>
    moveDivider(view, (clientX - view.canvas.getBoundingClientRect().left) / view.width);
  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId);
    divider.onpointermove = moveToPointer;
  });
  divider.addEventListener("pointerup", () => (divider.onpointermove = null));
  divider.addEventListener("pointercancel", () => (divider.onpointermove = null));
  divider.addEventListener("wheel", (event) => {
    event.preventDefault();
    view.canvas.dispatchEvent(new WheelEvent("wheel", event));
  }, { passive: false });
  divider.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP, Home: -1, End: 1 };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (step === undefined) return;
    event.preventDefault();
    moveDivider(view, position + step);
  });
}

/** Put the divider left of the changed part, and its handle where that part is not. @param {View} view @param {number[]} [box] */
function placeBeside(view, box) {
  const [left, top] = box ? view.toCanvas(box[0], box[1]) : [0, 0];
  const bottom = box ? view.toCanvas(box[2], box[3])[1] : 0;
  byId("divider").classList.toggle("low", top + bottom < view.height);
  moveDivider(view, Math.min(1 - MARGIN, Math.max(MARGIN, (left - GAP) / view.width)));
}

/** @param {View} view @param {number} fraction of the canvas width */
function moveDivider(view, fraction) {
  position = Math.min(1, Math.max(0, fraction));
  view.divider = position;
  byId("divider").style.left = `${position * 100}%`;
  byId("divider").setAttribute("aria-valuenow", String(Math.round(position * 100)));
  view.redraw();
}

/** @param {App} app @param {View} view */
function render(app, view) {
  const { result, candidate } = app.doc;
  const showsOther = shown !== (result ?? "");
  if (showsOther) [shown, app.compares, app.showsBefore] = [result ?? "", false, false];
  const showsDivider = Boolean(result) && app.compares && !app.showsBefore;
  byId("comparison").hidden = !result;
  byId("compare").setAttribute("aria-pressed", String(app.compares));
  byId("divider").hidden = !showsDivider;
  byId("shown-before").hidden = !result || !app.showsBefore;
  view.divider = showsDivider ? position : 0;
  view.after = result && !app.showsBefore ? { path: `/results/${result}`, query: `?candidate=${candidate}` } : null;
}
