// @ts-check
/** Keyboard shortcuts of the whole page. */
import { byId } from "./app.js";
import { setGranularity } from "./edits.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view.js").View} View */

const ZOOM_STEP = 1.4;
const MAX_BRUSH_RADIUS = 200; // screen px

/** @param {App} app @param {View} view */
export function setUpShortcuts(app, view) {
  /** @type {Record<string, () => void>} */
  const actions = {
    c: () => app.selectTool("click"), x: () => app.selectTool("exclude"), b: () => (app.doc.result ? byId("blink").click() : app.selectTool("box")),
    p: () => app.selectTool("brush"), s: () => app.selectTool("subtract"), e: () => app.selectTool("erase"), y: () => app.doc.result && byId("compare").click(), k: () => app.selectTool("color"),
    h: () => app.selectTool("hand"), n: () => byId("new-object").click(), t: () => byId("find-by-name").click(),
    f: () => byId("find-by-kind").click(), a: () => byId("show-all").click(), r: () => byId("run").click(), "?": () => byId("show-help").click(),
    1: () => setGranularity(app, "part"), 2: () => setGranularity(app, "object"), 3: () => setGranularity(app, "whole"),
    "+": () => view.zoomCentered(ZOOM_STEP), "=": () => view.zoomCentered(ZOOM_STEP),
    "-": () => view.zoomCentered(1 / ZOOM_STEP), 0: () => view.fit(), z: () => view.showActualPixels(),
    "[": () => scaleBrush(0.8), "]": () => scaleBrush(1.25),
    Delete: () => byId("objects").querySelector("li.active")?.querySelectorAll("button")[1]?.click(),
    Backspace: () => actions.Delete(),
    Escape: () => escape(),
    Enter: () => byId("run").click(),
    ",": () => showCandidate(-1), ".": () => showCandidate(1),
    " ": () => app.setShowsBefore(true), "\\": () => app.setShowsBefore(Boolean(app.doc.result)),
  };

  addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const typing = target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) {
      event.preventDefault();
      byId(event.shiftKey ? "redo" : "undo").click();
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "y" && !typing) {
      event.preventDefault();
      byId("redo").click();
    } else if (!event.ctrlKey && !event.metaKey && !event.altKey && !typing && app.doc.photo) {
      const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!action || (event.key === "Backspace" && target !== view.canvas)) return;
      if ([" ", "Enter"].includes(event.key) && target.matches("button, a, summary, [type=checkbox]")) return;
      if (event.key === " " && !app.doc.result) return; // it moves the photo
      event.preventDefault();
      action();
    }
  });
  addEventListener("keyup", (event) => {
    if (event.key === "\\" || event.key === " ") app.setShowsBefore(false);
  });

  /** @param {number} factor */
  function scaleBrush(factor) {
    app.radius = Math.min(MAX_BRUSH_RADIUS, Math.max(1, app.radius * factor));
    app.notify();
  }

  /** @param {number} step */
  function showCandidate(step) {
    const buttons = [...byId("candidate-list").querySelectorAll("button")];
    buttons[Math.min(buttons.length - 1, Math.max(0, app.doc.candidate + step))]?.click();
  }

  function escape() {
    if (app.doc.job || app.isStarting || app.upload) byId("cancel").click();
    else if (app.suggestions) (app.suggestions = null), app.notify();
    else if (app.dragBox) (app.dragBox = null), view.redraw();
    else if (app.doc.result && app.tool === "erase") app.selectTool("click");
    else if (app.doc.result) byId("back").click();
  }
}
