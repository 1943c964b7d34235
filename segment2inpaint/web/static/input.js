// @ts-check
/** Pointers, wheel and keys over the photo, as changes of the document. */
import { at } from "./app.js";
import { activeThing, excludes, withChanged, withThing } from "./document_state.js";
import { shapeOf } from "./draw.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view.js").View} View */
/** @typedef {import("./document_state.js").Point} Point */

const DRAG = 6; // px that a pointer may move and still click
const SIZES = /** @type {const} */ (["part", "object", "whole"]);

/** A pixel of the photo, or null beside it. @param {App} app @param {View} view @param {[number, number]} place @returns {Point|null} */
function pixel(app, view, place) {
  const { photo } = app.doc;
  const [x, y] = view.toPhoto(...place).map(Math.floor);
  const inside = photo && x >= 0 && y >= 0 && x < photo.width && y < photo.height;
  return inside ? [x, y] : null;
}

/** A click of the tool. @param {App} app @param {Point} p @param {{beside?: boolean, another?: boolean}} how */
export function clickAt(app, p, { beside = false, another = false } = {}) {
  if (app.offered) return pick(app, p);
  const { doc } = app;
  if (app.tool === "color") {
    const color = { at: p, tolerance: null, everywhere: false };
    return app.commit(withThing(doc, "color", { color }));
  }
  const active = activeThing(doc);
  const taken = active && [...active.include, ...active.exclude].some((q) => q[0] === p[0] && q[1] === p[1]);
  if (taken && !another) return;
  if (beside || app.tool === "exclude") {
    if (!active) return app.toast("Click the object first, then what is not of it.");
    if (!excludes(active)) return app.toast("Clicks cannot take from this one: rub with the Eraser.");
    return app.commit(withChanged(doc, active.id, (t) => ({ ...t, exclude: [...t.exclude, p], strokes: [] })));
  }
  if (active && !another && (active.kind === "click" || active.kind === "box"))
    return app.commit(withChanged(doc, active.id, (t) => ({ ...t, include: [...t.include, p], strokes: [] })));
  app.commit(withThing(doc, "click", { include: [p] }));
}

/** Of all that was offered, the smallest thing at a place. @param {App} app @param {Point} p */
function pick(app, [x, y]) {
  const context = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  const objects = app.offered?.objects ?? [];
  const hit = objects
    .map((found, i) => ({ found, number: i + 1 }))
    .filter(({ found }) => context.isPointInPath(shapeOf(found.paths), x, y, "evenodd"))
    .sort((a, b) => a.found.area - b.found.area)[0];
  if (!hit) return;
  const old = app.doc.things.find((thing) => thing.kind === "everything");
  if (!old) return app.commit(withThing(app.doc, "everything", { pick: [hit.number] }));
  const had = old.pick ?? [];
  const pick = had.includes(hit.number) ? had.filter((n) => n !== hit.number) : [...had, hit.number].sort((a, b) => a - b);
  if (!pick.length) return app.commit({ ...app.doc, things: app.doc.things.filter((t) => t !== old), active: 0 });
  app.commit(withChanged(app.doc, old.id, (t) => ({ ...t, pick })));
}

/** @param {App} app @param {Point} from @param {Point} to */
export function boxAt(app, from, to) {
  const box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])];
  if (box[2] - box[0] < 2 || box[3] - box[1] < 2) return;
  app.commit(withThing(app.doc, "box", { box }));
}

/** @param {App} app @param {View} view @param {Point[]} points */
export function strokeAt(app, view, points) {
  const { doc } = app;
  const stroke = { points, radius: app.radius / view.scale, erase: app.tool === "erase" };
  if (stroke.erase) {
    if (!doc.things.length) return;
    const things = doc.things.map((thing) => ({ ...thing, strokes: [...thing.strokes, stroke] }));
    return app.commit({ ...doc, things });
  }
  const active = activeThing(doc);
  const single = active && app.finder.of(doc, active).objects.length <= 1;
  if (!active || !single) return app.commit(withThing(doc, "brush", { strokes: [stroke] }));
  app.commit(withChanged(doc, active.id, (t) => ({ ...t, strokes: [...t.strokes, stroke] })));
}

/** @param {App} app @param {"auto"|"part"|"object"|"whole"} granularity */
export function sizeOf(app, granularity) {
  const active = activeThing(app.doc);
  if (!active || !active.include.length || active.granularity === granularity) return;
  app.commit(withChanged(app.doc, active.id, (t) => ({ ...t, granularity, strokes: [] })));
}

/** @param {App} app @param {number} by */
export function nextSize(app, by) {
  const now = SIZES.indexOf(/** @type {any} */ (activeThing(app.doc)?.granularity));
  sizeOf(app, SIZES[Math.min(2, Math.max(0, (now < 0 ? 1 : now) + by))]);
}

/** @param {App} app @param {View} view */
export function listen(app, view) {
  const canvas = view.canvas;
  /** @type {Map<number, [number, number]>} */
  const down = new Map();
  /** @type {{start: [number, number], last: [number, number], way: "click"|"pan"|"box"|"stroke"|"none", button: number, moved: boolean}|null} */
  let drag = null;
  let pinch = 0;
  let middle = [0, 0]; // of two fingers
  let spaced = false;

  /** @param {PointerEvent|WheelEvent} event @returns {[number, number]} */
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (!app.doc.photo) return;
    canvas.focus({ preventScroll: true });
    canvas.classList.add("pointed");
    try {
      canvas.setPointerCapture(event.pointerId);
    } catch {
      // a pointer that is gone already
    }
    down.set(event.pointerId, place(event));
    if (down.size === 2) {
      drag = null;
      app.stroke = app.boxing = null;
      pinch = apart([...down.values()]);
      middle = between([...down.values()]);
      return;
    }
    const start = place(event);
    const p = pixel(app, view, start);
    const touch = event.pointerType === "touch";
    /** @type {"click"|"pan"|"box"|"stroke"|"none"} */
    let way = "click";
    if (event.button === 1 || spaced || app.tool === "hand" || !app.editing) way = "pan";
    else if (app.tool === "brush" || app.tool === "erase") way = event.button === 0 ? "stroke" : "none";
    else if (app.tool === "box") way = "box";
    drag = { start, last: start, way, button: event.button, moved: false };
    app.cursor = null;
    if (way === "stroke" && p) app.stroke = [view.toPhoto(...start)];
    if (way === "box" && touch) app.boxing = null;
    view.redraw();
  });

  canvas.addEventListener("pointermove", (event) => {
    const now = place(event);
    if (down.has(event.pointerId)) down.set(event.pointerId, now);
    if (down.size === 2) return twoFingers();
    if (!drag) {
      if (event.pointerType === "mouse" && app.editing && (app.tool === "brush" || app.tool === "erase")) {
        app.cursor = view.toPhoto(...now);
        view.redraw();
      }
      return;
    }
    const far = Math.hypot(now[0] - drag.start[0], now[1] - drag.start[1]) > DRAG;
    if (far && !drag.moved) {
      drag.moved = true;
      const draws = app.tool === "click" && event.pointerType === "mouse" && drag.button === 0;
      if (drag.way === "click") drag.way = draws ? "box" : "pan";
    }
    if (drag.way === "pan") view.pan(now[0] - drag.last[0], now[1] - drag.last[1]);
    if (drag.way === "box" && drag.moved) app.boxing = { from: clamped(drag.start), to: clamped(now) };
    if (drag.way === "stroke" && app.stroke && app.stroke.length < 4000) app.stroke.push(view.toPhoto(...now));
    drag.last = now;
    view.redraw();
  });

  const up = (/** @type {PointerEvent} */ event) => {
    const had = down.size;
    down.delete(event.pointerId);
    if (!drag || had > 1 || event.type === "pointercancel") {
      drag = app.stroke = app.boxing = null;
      return view.redraw();
    }
    const done = drag;
    const { stroke, boxing } = app;
    drag = app.stroke = app.boxing = null;
    if (done.way === "stroke" && stroke) strokeAt(app, view, rounded(stroke));
    else if (done.way === "box" && boxing) boxAt(app, boxing.from, boxing.to);
    else if (done.way === "click" && !done.moved && app.editing) {
      const p = pixel(app, view, done.start);
      if (p) clickAt(app, p, { beside: event.button === 2 || event.altKey, another: event.shiftKey });
    } else if (!done.moved && app.doc.result) app.say("This is the result. To take more away, press Continue from this.");
    view.redraw();
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => {
    if (!drag && app.cursor) (app.cursor = null), view.redraw();
  });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", (event) => event.preventDefault());

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.altKey && app.editing) return nextSize(app, event.deltaY > 0 ? 1 : -1);
    const lines = event.deltaMode === 1 ? 30 : 1;
    if (event.ctrlKey || !event.shiftKey) view.zoom(Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 120 : 500)), ...place(event));
    else view.pan(-event.deltaY * lines, 0);
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    const pointed = canvas.classList.contains("pointed");
    if (event.key === " ") spaced = true;
    if (!app.doc.photo || event.ctrlKey || event.metaKey) return;
    const step = event.shiftKey ? 1 : Math.max(1, Math.round(12 / view.scale));
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (move) {
      event.preventDefault();
      canvas.classList.remove("pointed");
      if (app.tool === "hand" || !app.editing) return view.pan(-move[0] * 40, -move[1] * 40);
      moveCursor(move[0] * step, move[1] * step);
    } else if (event.key === "Enter" && app.editing && !pointed) {
      event.preventDefault();
      useCursor(event);
    }
  });
  canvas.addEventListener("blur", () => canvas.classList.remove("pointed"));
  canvas.addEventListener("keyup", (event) => {
    if (event.key === " ") spaced = false;
  });

  /** @param {number} dx @param {number} dy */
  function moveCursor(dx, dy) {
    const { photo } = app.doc;
    if (!photo) return;
    const [x, y] = app.cursor ?? [Math.floor(photo.width / 2), Math.floor(photo.height / 2)];
    app.cursor = [
      Math.min(photo.width - 1, Math.max(0, Math.floor(x + dx))),
      Math.min(photo.height - 1, Math.max(0, Math.floor(y + dy))),
    ];
    if (app.boxing) app.boxing = { from: app.boxing.from, to: app.cursor };
    app.say(`x ${app.cursor[0]}, y ${app.cursor[1]}`);
    view.redraw();
  }

  /** @param {KeyboardEvent} event */
  function useCursor(event) {
    if (!app.cursor) return moveCursor(0, 0);
    const p = app.cursor;
    if (app.tool === "brush" || app.tool === "erase") strokeAt(app, view, [p]);
    else if (app.tool === "box" && !app.boxing) app.boxing = { from: p, to: p };
    else if (app.tool === "box" && app.boxing) {
      boxAt(app, app.boxing.from, p);
      app.boxing = null;
    } else clickAt(app, p, { beside: event.altKey, another: event.shiftKey });
    view.redraw();
  }

  function twoFingers() {
    const both = [...down.values()];
    const now = apart(both);
    const [x, y] = between(both);
    view.pan(x - middle[0], y - middle[1]);
    if (pinch) view.zoom(now / pinch, x, y);
    [pinch, middle] = [now, [x, y]];
  }

  /** @param {[number, number]} stage @returns {Point} */
  function clamped(stage) {
    const { photo } = app.doc;
    const [x, y] = view.toPhoto(...stage).map(Math.round);
    return [Math.min(photo?.width ?? 0, Math.max(0, x)), Math.min(photo?.height ?? 0, Math.max(0, y))];
  }
}

/** @param {[number, number][]} both */
const apart = (both) => Math.hypot(both[0][0] - both[1][0], both[0][1] - both[1][1]);

/** @param {[number, number][]} both @returns {Point} */
const between = (both) => [(both[0][0] + both[1][0]) / 2, (both[0][1] + both[1][1]) / 2];

/** @param {Point[]} points @returns {Point[]} */
const rounded = (points) => points.map(([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10]);

/** Keys that work all over the page. @param {App} app @param {View} view */
export function listenToKeys(app, view) {
  /** @type {Record<string, () => void>} */
  const keys = {
    c: () => app.use("click"), x: () => app.use("exclude"), b: () => app.use("box"),
    p: () => app.use("brush"), e: () => app.use("erase"), k: () => app.use("color"),
    h: () => app.use("hand"), n: () => at("new-object").click(), t: () => at("ask-text").click(),
    a: () => at("ask-all").click(), r: () => at("run").click(), "?": () => at("show-help").click(),
    1: () => sizeOf(app, "part"), 2: () => sizeOf(app, "object"), 3: () => sizeOf(app, "whole"),
    "+": () => view.zoom(1.4, view.width / 2, view.height / 2), "=": () => view.zoom(1.4, view.width / 2, view.height / 2),
    "-": () => view.zoom(1 / 1.4, view.width / 2, view.height / 2), 0: () => view.fit(), z: () => view.actual(),
    "[": () => resize(0.8), "]": () => resize(1.25),
    Delete: () => at("objects").querySelector("li.active")?.querySelectorAll("button")[1]?.click(),
    Backspace: () => keys.Delete(),
    Escape: () => escape(),
    Enter: () => at("run").click(),
    ",": () => choice(-1), ".": () => choice(1),
    "\\": () => peek(true),
  };

  addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const typing = target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) {
      event.preventDefault();
      at(event.shiftKey ? "redo" : "undo").click();
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "y" && !typing) {
      event.preventDefault();
      at("redo").click();
    } else if (!event.ctrlKey && !event.metaKey && !event.altKey && !typing && app.doc.photo) {
      const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!act || (event.key === "Backspace" && target !== view.canvas)) return;
      if (event.key === "Enter" && target.matches("button, a, summary, [type=checkbox]")) return;
      event.preventDefault();
      act();
    }
  });
  addEventListener("keyup", (event) => {
    if (event.key === "\\") peek(false);
  });

  /** @param {number} factor */
  function resize(factor) {
    app.radius = Math.min(200, Math.max(1, app.radius * factor));
    app.changed();
  }

  /** @param {boolean} before */
  function peek(before) {
    app.peeking = before;
    app.changed();
  }

  /** @param {number} by */
  function choice(by) {
    const all = [...at("choices").querySelectorAll("button")];
    all[Math.min(all.length - 1, Math.max(0, app.doc.candidate + by))]?.click();
  }

  function escape() {
    if (app.doc.job) at("cancel").click();
    else if (app.offered) (app.offered = null), app.changed();
    else if (app.boxing) (app.boxing = null), view.redraw();
    else if (app.doc.result) at("back").click();
  }
}
