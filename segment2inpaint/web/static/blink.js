// @ts-check
/** Blink: switch between before and after, again and again, or once where motion is to be reduced. */
import { byId } from "./app.js";
import { focusCanvas } from "./compare.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view.js").View} View */

const INTERVAL = 500; // ms between two switches

/** @type {ReturnType<typeof setInterval>|undefined} */
let timer;
let blinking = ""; // id of the result that blinks
let isSwitched = false; // a press has switched to the photo before, where motion is reduced

/** @param {App} app @param {View} view */
export function setUpBlink(app, view) {
  byId("blink").addEventListener("click", (event) => {
    focusCanvas(view, event);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) app.setShowsBefore((isSwitched = !app.showsBefore));
    else if (timer) stop(app);
    else start(app);
  });
  app.listeners.add(() => {
    if (timer && app.doc.result !== blinking) stop(app);
    isSwitched &&= app.showsBefore;
    byId("blink").setAttribute("aria-pressed", String(Boolean(timer) || isSwitched));
  });
}

/** @param {App} app */
function start(app) {
  blinking = app.doc.result ?? "";
  app.compares = false;
  timer = setInterval(() => app.setShowsBefore(!app.showsBefore), INTERVAL);
  app.setShowsBefore(true);
}

/** @param {App} app */
function stop(app) {
  clearInterval(timer);
  timer = undefined;
  app.setShowsBefore(false);
  app.notify();
}
