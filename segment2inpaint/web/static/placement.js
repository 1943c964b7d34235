// @ts-check
/** The picture that will be inserted, shown over the photo with handles to move, scale and turn it. */
import { call } from "./api.js";
import { byId } from "./app.js";
import { objectsOf, UNMOVED } from "./document_state.js";
import { lengthOf, moved, pinched, rectangleOf, scaled, turnBetween, turned } from "./placement_geometry.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view.js").View} View */
/** @typedef {import("./document_state.js").Point} Point */
/** @typedef {import("./document_state.js").Placement} Placement */
/** @typedef {import("./placement_geometry.js").Rectangle} Rectangle */
/** @typedef {"move"|"scale"|"turn"} Gesture */
/** @typedef {{gesture: Gesture, placement: Placement, center: Point, fingers: Point[]}} Drag */

const KEY_SCALE = 1.02; // of one press of a key
const KEY_TURN = 1; // degrees
const LARGE_STEP = 10; // with Shift
const PASSING_TOOLS = ["click", "hand"]; // the others reach the photo below the picture
/** @type {Record<string, Point>} */
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @param {App} app @param {View} view */
export function setUpPlacement(app, view) {
  const editor = new PlacementEditor(app, view);
  setUpOptions(app);
  app.listeners.add(() => editor.update());
}

class PlacementEditor {
  /** @param {App} app @param {View} view */
  constructor(app, view) {
    this.app = app;
    this.view = view;
    this.frame = byId("placement");
    this.image = /** @type {HTMLImageElement} */ (byId("placed-picture"));
    this.shownPicture = ""; // address of the picture that is shown or is being loaded
    /** @type {Point|null} */
    this.size = null; // of the picture in px, null until it is loaded
    /** @type {Map<number, Point>} */
    this.pointers = new Map(); // pressed pointers in photo px
    /** @type {Drag|null} */
    this.drag = null;
    /** @type {Placement|null} */
    this.draft = null; // the placement while a gesture goes on
    /** @type {import("./document_state.js").Doc|null} */
    this.keyStep = null; // the document after the last key, which further keys amend
    this.#listen();
    const redraw = view.redraw.bind(view);
    view.redraw = () => {
      this.#draw();
      redraw();
    };
  }

  /** The placement that is shown. */
  get placement() {
    return this.draft ?? this.app.doc.fill.placement ?? UNMOVED;
  }

  /** Load the picture if another one is chosen, and show it. */
  update() {
    const { photo, fill, mode, result, refine } = this.app.doc;
    const inserts = photo && fill.picture && mode === "replace" && !result && !refine.invert;
    const address = inserts ? `/photos/${photo.id}/files/${fill.picture?.id}/picture?cutout=${Boolean(fill.cutout)}` : "";
    if (address !== this.shownPicture) void this.app.reportErrors(() => this.#load(address));
    this.#draw();
  }

  /** @param {string} address */
  async #load(address) {
    this.shownPicture = address;
    this.size = null;
    if (!address) return;
    const response = await call("GET", address);
    const blob = await response.blob();
    if (address !== this.shownPicture) return;
    URL.revokeObjectURL(this.image.src);
    this.image.src = URL.createObjectURL(blob);
    const [width, height] = (response.headers.get("x-size") ?? "").split(",").map(Number);
    this.size = [width, height];
    this.#draw();
  }

  /** The rectangle of the picture in the photo, null if there is nothing to show. @returns {Rectangle|null} */
  #rectangle() {
    const { doc, finder } = this.app;
    const boxes = objectsOf(doc).flatMap((selection) => finder.latestAnswer(doc, selection).objects).map(({ box }) => box);
    const known = boxes.filter(({ length }) => length);
    if (!this.size || !known.length) return null;
    const edges = [0, 1, 2, 3].map((i) => (i < 2 ? Math.min : Math.max)(...known.map((box) => box[i])));
    return rectangleOf(edges, this.size, this.placement);
  }

  #draw() {
    const rectangle = this.#rectangle();
    this.frame.hidden = !rectangle;
    if (!rectangle) return;
    const { app, view, frame, image } = this;
    const [x, y] = view.toCanvas(...rectangle.center);
    const [width, height] = [rectangle.width * view.scale, rectangle.height * view.scale];
    frame.style.width = `${width}px`;
    frame.style.height = `${height}px`;
    frame.style.transform = `translate(${x - width / 2}px, ${y - height / 2}px) rotate(${rectangle.angle}deg)`;
    image.style.scale = this.placement.flip ? "-1 1" : "1 1";
    image.style.clipPath = this.#clipPath(rectangle);
    const reachable = app.editing && !app.suggestions && PASSING_TOOLS.includes(app.tool);
    frame.classList.toggle("passive", !reachable);
    frame.inert = !app.editing;
  }

  /** The photo's outline in the coordinates of the image: what lies outside is not inserted. @param {Rectangle} rectangle */
  #clipPath({ center, width, height, angle }) {
    const { photo } = this.app.doc;
    const { scale } = this.view;
    const [cos, sin] = [Math.cos((-angle * Math.PI) / 180), Math.sin((-angle * Math.PI) / 180)];
    const [right, bottom] = [photo?.width ?? 0, photo?.height ?? 0];
    const corners = [[0, 0], [right, 0], [right, bottom], [0, bottom]].map(([x, y]) => {
      const [dx, dy] = [x - center[0], y - center[1]];
      const [across, down] = [dx * cos - dy * sin, dx * sin + dy * cos];
      return `${((this.placement.flip ? -across : across) + width / 2) * scale}px ${(down + height / 2) * scale}px`;
    });
    return `polygon(${corners.join(",")})`;
  }

  #listen() {
    const { frame } = this;
    frame.addEventListener("pointerdown", (event) => this.#onDown(event));
    frame.addEventListener("pointermove", (event) => this.#onMove(event));
    frame.addEventListener("pointerup", (event) => this.#onUp(event));
    frame.addEventListener("pointercancel", (event) => this.#onUp(event));
    frame.addEventListener("contextmenu", (event) => event.preventDefault());
    frame.addEventListener("keydown", (event) => this.#onKey(event));
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.view.canvas.dispatchEvent(new WheelEvent("wheel", event));
    }, { passive: false });
    byId("stage").addEventListener("pointerdown", (event) => {
      if (this.pointers.size !== 1 || event.pointerType !== "touch" || this.pointers.has(event.pointerId)) return;
      event.stopPropagation(); // a second finger may lie beside a small picture
      this.#press(event);
    }, true);
  }

  /** @param {PointerEvent} event @returns {Point} */
  #position(event) {
    const box = this.view.canvas.getBoundingClientRect();
    return this.view.toPhoto(event.clientX - box.left, event.clientY - box.top);
  }

  /** @param {PointerEvent} event */
  #onDown(event) {
    if (event.button !== 0) return;
    this.frame.focus({ preventScroll: true });
    this.#press(event);
  }

  /** @param {PointerEvent} event */
  #press(event) {
    const rectangle = this.#rectangle();
    if (!rectangle) return;
    this.frame.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.#position(event));
    const gesture = /** @type {Gesture} */ (/** @type {HTMLElement} */ (event.target).dataset.gesture ?? "move");
    this.drag = { gesture, placement: this.placement, center: rectangle.center, fingers: [...this.pointers.values()] };
  }

  /** @param {PointerEvent} event */
  #onMove(event) {
    if (!this.drag || !this.pointers.has(event.pointerId)) return;
    this.pointers.set(event.pointerId, this.#position(event));
    this.draft = dragged(this.drag, [...this.pointers.values()], event.shiftKey);
    this.#draw();
  }

  /** @param {PointerEvent} event */
  #onUp(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    this.drag = null;
    this.pointers.clear(); // a finger that stays does not go on
    const { draft } = this;
    this.draft = null;
    if (draft && event.type === "pointerup") changePlacement(this.app, draft);
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const rectangle = this.#rectangle();
    const next = rectangle && !event.ctrlKey && !event.metaKey && pressed(event, this.placement, rectangle.center);
    if (event.key === "Escape") this.view.canvas.focus();
    if (!next) return;
    event.preventDefault();
    const { app } = this;
    const doc = { ...app.doc, fill: { ...app.doc.fill, placement: next } };
    if (this.keyStep === app.doc) app.amend(doc); // a series of keys is one step to undo
    else app.commit(doc);
    this.keyStep = app.doc;
  }
}

/** The placement after a drag; Shift turns in steps of 15 degrees. @param {Drag} drag @param {Point[]} fingers @param {boolean} inSteps @returns {Placement} */
function dragged({ gesture, placement, center, fingers: before }, fingers, inSteps) {
  if (fingers.length > 1) return pinched(placement, center, before, fingers);
  const [from, to] = [before[0], fingers[0]];
  if (gesture === "scale") return scaled(placement, center, lengthOf([center, to]) / Math.max(1e-6, lengthOf([center, from])));
  if (gesture === "move") return moved(placement, center, to[0] - from[0], to[1] - from[1]);
  const turn = placement.angle + turnBetween(center, from, to);
  return turned({ ...placement, angle: 0 }, center, inSteps ? 15 * Math.round(turn / 15) : turn);
}

/** The placement after a key, null for a key that does nothing. @param {KeyboardEvent} event @param {Placement} placement @param {Point} center @returns {Placement|null} */
function pressed({ key, shiftKey }, placement, center) {
  const step = shiftKey ? LARGE_STEP : 1;
  if (DIRECTIONS[key]) return moved(placement, center, DIRECTIONS[key][0] * step, DIRECTIONS[key][1] * step);
  if (key === "+" || key === "=") return scaled(placement, center, KEY_SCALE);
  if (key === "-") return scaled(placement, center, 1 / KEY_SCALE);
  if (key === "[" || key === "{") return turned(placement, center, -KEY_TURN * step);
  if (key === "]" || key === "}") return turned(placement, center, KEY_TURN * step);
  return key.toLowerCase() === "f" ? { ...placement, flip: !placement.flip } : null;
}

/** Change the placement in a step that can be undone. @param {App} app @param {Partial<Placement>} change */
function changePlacement(app, change) {
  const { doc } = app;
  app.commit({ ...doc, fill: { ...doc.fill, placement: { ...UNMOVED, ...doc.fill.placement, ...change } } });
}

// --- the settings in the panel ------------------------------------------------------------------

/** @param {App} app */
function setUpOptions(app) {
  const input = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));
  const placement = () => app.doc.fill.placement ?? UNMOVED;
  byId("flip-picture").addEventListener("click", () => changePlacement(app, { flip: !placement().flip }));
  byId("reset-placement").addEventListener("click", () => changePlacement(app, { at: null, scale: 1, angle: 0, flip: false }));
  input("blend").addEventListener("change", () => changePlacement(app, { blend: Number(input("blend").value) / 100 }));
  input("contact-shadow").addEventListener("change", () => changePlacement(app, { contact_shadow: input("contact-shadow").checked }));
  input("picture-cutout").addEventListener("change", () =>
    app.commit({ ...app.doc, fill: { ...app.doc.fill, cutout: input("picture-cutout").checked } }));
  const showBlend = () => (byId("blend-out").textContent = text("unit.percent", { value: input("blend").value }));
  input("blend").addEventListener("input", showBlend);
  app.listeners.add(() => {
    byId("placement-options").hidden = !app.doc.fill.picture || app.doc.refine.invert;
    input("blend").value = String(Math.round(100 * placement().blend));
    input("contact-shadow").checked = placement().contact_shadow;
    input("picture-cutout").checked = Boolean(app.doc.fill.cutout);
    showBlend();
  });
}
