// @ts-check
/**
 * The hover preview: while the mouse rests on the photo, the outline of what a click would select.
 *
 * It is no part of the document and is not announced. A move cancels the request in flight. It
 * switches itself off where the answers are slow, until another photo or detector is chosen.
 */
import { get, post } from "./api.js";
import { byId } from "./app.js";
import { activeSelection, promptsOf } from "./document_state.js";
import { containsPixel } from "./draw.js";
import { withClick } from "./edits.js";
import { TAB_ID } from "./objects.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Point} Point */

const REST_TIME = 40; // ms without a move, until the server is asked
const REST_DISTANCE = 4; // screen px that a resting pointer may move
const MAX_ANSWER_TIME = 300; // ms, median of the last answers
const [MIN_ANSWERS, MAX_ANSWERS] = [3, 7]; // answers that the median is taken of
const POLL_INTERVAL = 1000; // ms between two questions whether the photo's embedding is computed
const SETTING_KEY = "segment2inpaint-hover";

export class HoverPreview {
  /** @param {App} app @param {() => void} redraw */
  constructor(app, redraw) {
    this.app = app;
    this.redraw = redraw;
    /** @type {Point|null} */
    this.restPosition = null; // on the canvas
    this.controller = new AbortController(); // of the question in flight
    /** @type {number[]} */
    this.answerTimes = []; // ms
    this.subject = ""; // the photo and detector that the answer times and `isReady` are of
    this.isReady = false; // the photo's embedding is computed
    this.lastPoll = -Infinity;
    this.setting = /** @type {HTMLInputElement} */ (byId("hover"));
    this.#setUpSetting();
    addEventListener("keydown", () => this.clear());
    addEventListener("blur", () => this.clear());
    app.listeners.add(() => this.#applies() || this.clear());
  }

  #setUpSetting() {
    const { setting } = this;
    setting.checked = localStorage.getItem(SETTING_KEY) !== "off";
    setting.addEventListener("change", () => {
      localStorage.setItem(SETTING_KEY, setting.checked ? "on" : "off");
      this.answerTimes = [];
    });
  }

  /** The mouse has moved without a pressed button. @param {Point} position on the canvas @param {Point|null} pixel null outside the photo */
  move(position, pixel) {
    this.#chooseSubject();
    if (!pixel || !this.#applies() || this.#isSelected(pixel)) return this.clear();
    if (this.restPosition && distance(this.restPosition, position) <= REST_DISTANCE) return;
    this.stop();
    this.restPosition = position;
    if (this.app.hover && !containsPixel(this.app.hover, pixel)) this.#show(null);
    const outlined = this.app.distractions?.at(pixel);
    if (outlined) return this.#show(outlined.paths);
    this.timer = setTimeout(() => void this.#ask(pixel), REST_TIME);
  }

  /** Ask nothing any more; what is shown stays. */
  stop() {
    clearTimeout(this.timer);
    this.controller.abort();
    this.restPosition = null;
  }

  clear() {
    this.stop();
    if (this.app.hover) this.#show(null);
  }

  /** Hide the preview. Return its contours, which the click that ends it will find, null if there is none. */
  take() {
    const { hover } = this.app;
    this.clear();
    return hover;
  }

  /** @type {ReturnType<typeof setTimeout>|undefined} */
  timer;

  #chooseSubject() {
    const { photo, detector } = this.app.doc;
    const subject = `${photo?.id} ${detector}`;
    if (subject === this.subject) return;
    [this.subject, this.answerTimes, this.isReady, this.lastPoll] = [subject, [], false, -Infinity];
  }

  /** Whether a click would select an object, and quickly. */
  #applies() {
    const { app } = this;
    const isQuick = this.answerTimes.length < MIN_ANSWERS || median(this.answerTimes) <= MAX_ANSWER_TIME;
    const clicksSelect = app.editing && app.tool === "click" && !app.suggestions && !app.isOpening;
    return this.setting.checked && isQuick && clicksSelect && !app.serverAway && !app.searchState.pending;
  }

  /** Whether a pixel lies in the selection that a click would go to, or strokes have changed it. @param {Point} pixel */
  #isSelected(pixel) {
    const { doc, finder } = this.app;
    const active = activeSelection(doc);
    if (!active) return false;
    return active.strokes.length > 0 || finder.answerFor(doc, active).objects.some(({ paths }) => containsPixel(paths, pixel));
  }

  /** @param {Point} pixel */
  async #ask(pixel) {
    const { doc } = this.app;
    this.controller = new AbortController();
    const { signal } = this.controller;
    try {
      if (!(await this.#checkReady(doc, signal))) return;
      const paths = await this.#askPaths(withClick(doc, pixel), signal);
      if (!signal.aborted && doc === this.app.doc) this.#show(paths.length && this.#applies() ? paths : null);
    } catch {
      if (!signal.aborted) this.isReady = false; // the click reports the error
    }
  }

  /** Ask whether the photo's embedding is computed, at most once in a while. @param {Doc} doc @param {AbortSignal} signal */
  async #checkReady(doc, signal) {
    const now = performance.now();
    if (this.isReady || now - this.lastPoll < POLL_INTERVAL) return this.isReady;
    this.lastPoll = now;
    const { subject } = this;
    const { prepared } = await get(`/photos/${doc.photo?.id}`, signal);
    if (subject === this.subject) this.isReady = prepared.includes(doc.detector);
    return this.isReady && !signal.aborted;
  }

  /** The contours of what the active selection would be. @param {Doc} doc @param {AbortSignal} signal @returns {Promise<number[][]>} */
  async #askPaths(doc, signal) {
    const active = activeSelection(doc);
    if (!active) return [];
    const { subject } = this;
    const body = {
      prompts: promptsOf(active),
      edge_refine: doc.refine.edge_refine,
      slot: TAB_ID,
      ...(doc.detector !== "auto" ? { detector: doc.detector } : {}),
    };
    const start = performance.now();
    try {
      const { ready, paths } = await post(`/photos/${doc.photo?.id}/hover`, body, signal);
      if (subject !== this.subject) return [];
      this.isReady = ready;
      if (ready) this.#addAnswerTime(performance.now() - start);
      return paths;
    } catch (error) {
      const elapsed = performance.now() - start;
      if (subject === this.subject && elapsed > MAX_ANSWER_TIME) this.#addAnswerTime(elapsed); // too slow to wait for
      throw error;
    }
  }

  /** @param {number} time */
  #addAnswerTime(time) {
    this.answerTimes = [...this.answerTimes, time].slice(-MAX_ANSWERS);
  }

  /** @param {number[][]|null} paths */
  #show(paths) {
    this.app.hover = paths;
    this.redraw();
  }
}

/** @param {Point} a @param {Point} b */
const distance = ([x0, y0], [x1, y1]) => Math.hypot(x0 - x1, y0 - y1);

/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
