// @ts-check
/**
 * Quiet outlines of things at the photo's edge that could go, if the user has asked for them.
 *
 * The server looks for them when a photo opens. A click in an outline selects what it encloses.
 */
import { get } from "./api.js";
import { byId } from "./app.js";
import { containsPixel, drawQuietLine } from "./draw.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./document_state.js").Point} Point */
/** @typedef {{click: Point, paths: number[][]}} Distraction */

const SETTING_KEY = "segment2inpaint-distractions";

export class Distractions {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.photo = ""; // that `found` is of
    /** @type {Distraction[]} */
    this.found = [];
    this.controller = new AbortController(); // of the search in progress
    this.setting = /** @type {HTMLInputElement} */ (byId("distractions"));
    this.setting.checked = localStorage.getItem(SETTING_KEY) === "on";
    this.setting.addEventListener("change", () => {
      localStorage.setItem(SETTING_KEY, this.setting.checked ? "on" : "off");
      app.notify();
    });
    app.listeners.add(() => this.#update());
  }

  /** The things that can be chosen now: those that no click has selected. */
  get offered() {
    const { app } = this;
    const isShown = this.setting.checked && app.editing && !app.suggestions && this.photo === app.doc.photo?.id;
    const clicks = app.doc.selections.flatMap(({ include }) => include.map(String));
    return isShown ? this.found.filter(({ click }) => !clicks.includes(String(click))) : [];
  }

  /** The thing whose outline encloses a pixel. @param {Point} pixel */
  at(pixel) {
    return this.offered.find(({ paths }) => containsPixel(paths, pixel));
  }

  /** @param {import("./view.js").View} view @param {CanvasRenderingContext2D} context */
  draw(view, context) {
    for (const { paths } of this.offered) drawQuietLine(view, context, paths);
  }

  /** Look for the things in another photo. */
  #update() {
    const photo = this.app.editing && this.setting.checked ? this.app.doc.photo?.id : this.photo;
    if (!photo || photo === this.photo) return;
    this.controller.abort();
    [this.photo, this.found, this.controller] = [photo, [], new AbortController()];
    void this.#search(photo, this.controller.signal);
  }

  /** @param {string} photo @param {AbortSignal} signal */
  async #search(photo, signal) {
    try {
      const found = await get(`/photos/${photo}/distractions`, signal);
      if (photo !== this.photo) return;
      this.found = found;
      this.app.notify();
      if (this.offered.length && !this.app.doc.selections.length) this.app.setStatus(text("distractions.found", { count: found.length }));
    } catch {
      if (!signal.aborted) this.photo = ""; // an offer that cannot be made needs no message
    }
  }
}
