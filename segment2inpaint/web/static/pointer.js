// @ts-check
/** Pointers, the wheel and the keyboard crosshair on the canvas. */
import { addBox, addClick, addStroke, changeGranularity } from "./edits.js";
import { eraseAt, eraseStroke } from "./eraser.js";
import { HoverPreview } from "./hover.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view.js").View} View */
/** @typedef {import("./document_state.js").Point} Point */
/** @typedef {"click"|"pan"|"box"|"stroke"|"none"} Gesture */
/** @typedef {{start: Point, last: Point, gesture: Gesture, button: number, moved: boolean, held?: boolean}} Drag */

const CLICK_TOLERANCE = 6; // px that a pointer may move during a click
const MAX_STROKE_POINTS = 4000;
const LINE_HEIGHT = 30; // px of a wheel step that is given in lines
const WHEEL_ZOOM = 500; // px of the wheel that zoom by a factor of e
const PINCH_ZOOM = 120; // the same for the pinch of a touchpad, which arrives as Ctrl and wheel
const CURSOR_STEP = 12; // screen px that an arrow key moves the crosshair
const HOLD_TIME = 200; // ms that a press rests on a result until the photo before is shown
const PAN_STEP = 40; // screen px that an arrow key moves the photo

/** @param {App} app @param {View} view */
export function setUpPointer(app, view) {
  new CanvasInput(app, view);
}

class CanvasInput {
  /** @param {App} app @param {View} view */
  constructor(app, view) {
    this.app = app;
    this.view = view;
    this.canvas = view.canvas;
    this.hover = new HoverPreview(app, () => view.redraw());
    /** @type {Map<number, Point>} */
    this.pointers = new Map(); // pressed pointers and their positions on the canvas
    /** @type {Drag|null} */
    this.drag = null;
    this.pinchDistance = 0; // px between two fingers
    /** @type {Point} */
    this.pinchCenter = [0, 0];
    this.spacePressed = false;
    this.#listenToPointer();
    this.#listenToWheel();
    this.#listenToKeys();
  }

  #listenToPointer() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.#onDown(event));
    canvas.addEventListener("pointermove", (event) => this.#onMove(event));
    canvas.addEventListener("pointerup", (event) => this.#onUp(event));
    canvas.addEventListener("pointercancel", (event) => this.#onUp(event));
    canvas.addEventListener("pointerleave", () => {
      if (!this.drag) this.hover.clear();
      if (!this.drag && this.app.cursor) (this.app.cursor = null), this.view.redraw();
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", (event) => event.preventDefault());
    canvas.addEventListener("blur", () => canvas.classList.remove("pointed"));
  }

  #listenToWheel() {
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.hover.clear();
      if (event.altKey && this.app.editing) return changeGranularity(this.app, event.deltaY > 0 ? 1 : -1);
      const scrolled = -event.deltaY * (event.deltaMode === 1 ? LINE_HEIGHT : 1);
      const zooms = event.ctrlKey || !event.shiftKey;
      if (zooms) this.view.zoom(Math.exp(scrolled / (event.ctrlKey ? PINCH_ZOOM : WHEEL_ZOOM)), ...this.#position(event));
      else this.view.pan(scrolled, 0);
    }, { passive: false });
  }

  #listenToKeys() {
    this.canvas.addEventListener("keydown", (event) => this.#onKey(event));
    this.canvas.addEventListener("keyup", (event) => {
      if (event.key === " ") this.spacePressed = false;
    });
  }

  /** The position of an event on the canvas. @param {PointerEvent|WheelEvent} event @returns {Point} */
  #position(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** The pixel of the photo at a position, null outside the photo. @param {Point} position @returns {Point|null} */
  #pixel(position) {
    const { photo } = this.app.doc;
    const [x, y] = this.view.toPhoto(...position).map(Math.floor);
    const isInside = photo && x >= 0 && y >= 0 && x < photo.width && y < photo.height;
    return isInside ? [x, y] : null;
  }

  /** @param {PointerEvent} event */
  #onDown(event) {
    const { app, view, canvas } = this;
    if (!app.doc.photo) return;
    if (event.button === 0) this.hover.stop();
    else this.hover.clear();
    canvas.focus({ preventScroll: true });
    canvas.classList.add("pointed");
    try {
      canvas.setPointerCapture(event.pointerId);
    } catch {
      // the pointer was released meanwhile
    }
    const start = this.#position(event);
    this.pointers.set(event.pointerId, start);
    if (this.pointers.size === 2) return this.#startPinch();
    const gesture = this.#gesture(event);
    this.drag = { start, last: start, gesture, button: event.button, moved: false };
    app.cursor = null;
    if (gesture === "stroke" && this.#pixel(start)) app.stroke = [view.toPhoto(...start)];
    if (gesture === "box" && event.pointerType === "touch") app.dragBox = null;
    if (gesture === "pan" && event.button === 0 && app.doc.result) this.#waitForHold();
    view.redraw();
  }

  /** Show the photo before while a press rests on the result. */
  #waitForHold() {
    const { app, drag } = this;
    setTimeout(() => {
      if (this.drag === drag && drag && !drag.moved) app.setShowsBefore(drag.held = true);
    }, HOLD_TIME);
  }

  /** The gesture that a pressed pointer starts. @param {PointerEvent} event @returns {Gesture} */
  #gesture(event) {
    const { app } = this;
    if (event.button === 1 || this.spacePressed || app.tool === "hand" || !app.usesTool) return "pan";
    if (app.hasBrush) return event.button === 0 ? "stroke" : "none";
    return app.tool === "box" ? "box" : "click";
  }

  /** @param {PointerEvent} event */
  #onMove(event) {
    const { app, view, drag } = this;
    const position = this.#position(event);
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, position);
    if (this.pointers.size === 2) return this.#movePinch();
    if (!drag) return this.#moveUnpressed(event, position);
    const isFar = Math.hypot(position[0] - drag.start[0], position[1] - drag.start[1]) > CLICK_TOLERANCE;
    if (isFar && !drag.moved) {
      drag.moved = true;
      this.hover.clear();
      const drawsBox = app.tool === "click" && event.pointerType === "mouse" && drag.button === 0;
      if (drag.gesture === "click") drag.gesture = drawsBox ? "box" : "pan";
    }
    if (drag.gesture === "pan") view.pan(position[0] - drag.last[0], position[1] - drag.last[1]);
    if (drag.gesture === "box" && drag.moved) app.dragBox = { from: this.#clampedPoint(drag.start), to: this.#clampedPoint(position) };
    if (drag.gesture === "stroke" && app.stroke && app.stroke.length < MAX_STROKE_POINTS) app.stroke.push(view.toPhoto(...position));
    drag.last = position;
    view.redraw();
  }

  /** Show the brush, or what a click would select. @param {PointerEvent} event @param {Point} position */
  #moveUnpressed(event, position) {
    const { app, view } = this;
    if (event.pointerType !== "mouse" || !app.usesTool) return;
    if (app.hasBrush) {
      app.cursor = view.toPhoto(...position);
      return view.redraw();
    }
    const hasModifier = event.shiftKey || event.altKey || event.ctrlKey || event.metaKey || this.spacePressed;
    if (hasModifier) this.hover.clear();
    else this.hover.move(position, this.#pixel(position));
  }

  /** @param {PointerEvent} event */
  #onUp(event) {
    const { app, view, drag } = this;
    const { stroke, dragBox } = app;
    const hovered = this.hover.take();
    const pressed = this.pointers.size;
    this.pointers.delete(event.pointerId);
    this.drag = app.stroke = app.dragBox = null;
    if (drag?.held) app.setShowsBefore(false);
    if (drag && pressed <= 1 && event.type !== "pointercancel") this.#finishDrag(event, drag, { stroke, dragBox, hovered });
    view.redraw();
  }

  /** @param {PointerEvent} event @param {Drag} drag @param {{stroke: Point[]|null, dragBox: {from: Point, to: Point}|null, hovered: number[][]|null}} shown while it went on */
  #finishDrag(event, drag, { stroke, dragBox, hovered }) {
    const { app, view } = this;
    if (drag.gesture === "stroke" && app.tool === "erase") this.#erase(drag, stroke);
    else if (drag.gesture === "stroke" && stroke) addStroke(app, rounded(stroke), app.radius / view.scale);
    else if (drag.gesture === "box" && dragBox) addBox(app, dragBox.from, dragBox.to);
    else if (drag.gesture === "click" && !drag.moved && app.editing) {
      const pixel = this.#pixel(drag.start);
      if (pixel) addClick(app, pixel, { exclude: event.button === 2 || event.altKey, newObject: event.shiftKey });
      if (pixel && hovered) app.finder.expect(app.doc, hovered);
    } else if (!drag.moved && !drag.held && app.doc.result) app.setStatus(text("photo.isResult"));
  }

  /** Remove what was painted over, or the object at a click. @param {Drag} drag @param {Point[]|null} stroke */
  #erase({ start, moved }, stroke) {
    const { app, view } = this;
    if (!stroke) return; // it began outside the photo
    const pixel = this.#pixel(start);
    const work = moved ? () => eraseStroke(app, rounded(stroke), app.radius / view.scale) : pixel && (() => eraseAt(app, pixel));
    if (work) void app.reportErrors(work);
  }

  #startPinch() {
    if (this.drag?.held) this.app.setShowsBefore(false);
    this.drag = this.app.stroke = this.app.dragBox = null;
    const fingers = [...this.pointers.values()];
    this.pinchDistance = distance(fingers);
    this.pinchCenter = center(fingers);
  }

  #movePinch() {
    const fingers = [...this.pointers.values()];
    const [x, y] = center(fingers);
    this.view.pan(x - this.pinchCenter[0], y - this.pinchCenter[1]);
    if (this.pinchDistance) this.view.zoom(distance(fingers) / this.pinchDistance, x, y);
    [this.pinchDistance, this.pinchCenter] = [distance(fingers), [x, y]];
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const { app, view, canvas } = this;
    const pointed = canvas.classList.contains("pointed");
    if (event.key === " ") this.spacePressed = true;
    if (!app.doc.photo || event.ctrlKey || event.metaKey) return;
    const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const direction = directions[/** @type {keyof typeof directions} */ (event.key)];
    if (direction) {
      event.preventDefault();
      canvas.classList.remove("pointed");
      if (app.tool === "hand" || !app.usesTool) return view.pan(-direction[0] * PAN_STEP, -direction[1] * PAN_STEP);
      const step = event.shiftKey ? 1 : Math.max(1, Math.round(CURSOR_STEP / view.scale));
      this.#moveCursor(direction[0] * step, direction[1] * step);
    } else if (event.key === "Enter" && app.usesTool && !pointed) {
      event.preventDefault();
      this.#useCursor(event);
    }
  }

  /** @param {number} dx @param {number} dy in photo px */
  #moveCursor(dx, dy) {
    const { app } = this;
    const { photo } = app.doc;
    if (!photo) return;
    const [x, y] = app.cursor ?? [Math.floor(photo.width / 2), Math.floor(photo.height / 2)];
    app.cursor = [
      Math.min(photo.width - 1, Math.max(0, Math.floor(x + dx))),
      Math.min(photo.height - 1, Math.max(0, Math.floor(y + dy))),
    ];
    if (app.dragBox) app.dragBox = { from: app.dragBox.from, to: app.cursor };
    app.setStatus(text("photo.crosshair", { x: app.cursor[0], y: app.cursor[1] }));
    this.view.redraw();
  }

  /** Use the tool at the crosshair. @param {KeyboardEvent} event */
  #useCursor(event) {
    const { app, view } = this;
    if (!app.cursor) return this.#moveCursor(0, 0);
    const point = app.cursor;
    if (app.tool === "erase") void app.reportErrors(() => eraseAt(app, [Math.floor(point[0]), Math.floor(point[1])]));
    else if (app.hasBrush) addStroke(app, [point], app.radius / view.scale);
    else if (app.tool === "box" && !app.dragBox) app.dragBox = { from: point, to: point };
    else if (app.tool === "box" && app.dragBox) {
      addBox(app, app.dragBox.from, point);
      app.dragBox = null;
    } else addClick(app, point, { exclude: event.altKey, newObject: event.shiftKey });
    view.redraw();
  }

  /** The nearest point of the photo to a position on the canvas. @param {Point} position @returns {Point} */
  #clampedPoint(position) {
    const { photo } = this.app.doc;
    const [x, y] = this.view.toPhoto(...position).map(Math.round);
    return [Math.min(photo?.width ?? 0, Math.max(0, x)), Math.min(photo?.height ?? 0, Math.max(0, y))];
  }
}

/** @param {Point[]} fingers */
const distance = ([[x0, y0], [x1, y1]]) => Math.hypot(x0 - x1, y0 - y1);

/** @param {Point[]} fingers @returns {Point} */
const center = ([[x0, y0], [x1, y1]]) => [(x0 + x1) / 2, (y0 + y1) / 2];

/** To a tenth of a pixel. @param {Point[]} points @returns {Point[]} */
const rounded = (points) => points.map(([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10]);
