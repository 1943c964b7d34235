// @ts-check
/** The state that the parts of the page share: the document and its history, the tool, messages. */
import { Failure, get, upload } from "./api.js";
import { EMPTY, History, objectsOf } from "./document_state.js";
import { Finder } from "./objects.js";

/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Point} Point */
/** @typedef {"click"|"exclude"|"box"|"brush"|"erase"|"color"|"hand"} Tool */

const TOAST_TIME = 9000; // ms that a message is shown

/** @template {HTMLElement} [T=HTMLElement] @param {string} id */
export const byId = (id) => /** @type {T} */ (document.getElementById(id));

/** @param {string} tag @param {Record<string, string>} [attributes] @param {(Node|string)[]} children */
export function createElement(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export class App {
  constructor() {
    this.history = new History();
    this.finder = new Finder(() => this.notify());
    /** @type {Tool} */
    this.tool = "click";
    this.radius = 16; // of the brush, in screen px
    /** @type {Point|null} */
    this.cursor = null; // crosshair or brush outline, in photo px
    /** @type {{from: Point, to: Point}|null} */
    this.dragBox = null; // the box that is being dragged
    /** @type {Point[]|null} */
    this.stroke = null; // the stroke that is being drawn
    /** @type {{prompt: string, objects: import("./objects.js").DetectedObject[]}|null} */
    this.suggestions = null; // all objects of the photo, for the user to choose from
    /** @type {{job: string, box: number[], bitmap: ImageBitmap}|null} */
    this.preview = null; // a rough fill, shown while the job runs
    /** @type {number[][]|null} */
    this.hover = null; // contours of what a click at the pointer would select
    this.showsBefore = false; // shows the photo instead of the result
    this.serverAway = false; // the server does not answer
    this.isOpening = false; // a photo is being uploaded
    this.isStarting = false; // a job is being started
    /** @type {any} */
    this.capabilities = null; // of the server, from /about
    /** @type {Set<() => void>} */
    this.listeners = new Set();
  }

  /** @returns {Doc} */
  get doc() {
    return this.history.doc;
  }

  get editing() {
    return this.doc.photo !== null && !this.doc.result && !this.doc.job && !this.isStarting;
  }

  /** Change the document in a step that can be undone. @param {Doc} doc */
  commit(doc) {
    this.history.push(doc);
    this.notify();
  }

  /** Change the document as a part of the last step. @param {Doc} doc */
  amend(doc) {
    this.history.amend(doc);
    this.notify();
  }

  /** Call the listeners before the next frame. */
  notify() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      for (const listener of this.listeners) listener();
    });
  }

  /** @type {number|undefined} */
  frame;

  /** Undo or redo. @param {number} steps */
  moveInHistory(steps) {
    this.history.move(steps);
    this.notify();
  }

  /** @param {Tool} tool */
  selectTool(tool) {
    this.tool = tool;
    this.dragBox = this.suggestions = null;
    this.notify();
  }

  /** @param {Blob} file @param {string} name */
  async openPhoto(file, name) {
    this.isOpening = true;
    this.notify();
    await this.reportErrors(async () => {
      const photo = await upload(`/photos?name=${encodeURIComponent(name.slice(-200))}`, file);
      const { detector, inpainter, verify } = this.doc;
      this.suggestions = null;
      this.commit({ ...EMPTY, detector, inpainter, verify, photo });
    });
    this.isOpening = false;
    this.notify();
  }

  /**
   * Upload the file that the user chose, null if there is none.
   * @param {HTMLInputElement} input @param {"mask"|"plate"|"picture"} kind
   * @returns {Promise<{id: string, name: string}|null>}
   */
  async uploadChosenFile(input, kind) {
    const file = input.files?.[0];
    input.value = "";
    if (!file) return null;
    const query = `kind=${kind}&name=${encodeURIComponent(file.name.slice(-200))}`;
    const stored = await upload(`/photos/${this.doc.photo?.id}/files?${query}`, file);
    if (stored.note) this.toast(stored.note);
    return stored;
  }

  /** Keep the photo of the last visit if the server still has it. */
  async restorePhoto() {
    const { photo } = this.doc;
    if (!photo) return;
    try {
      await get(`/photos/${photo.id}`);
    } catch (error) {
      if (error instanceof Failure && error.status === 404) {
        this.history.clear();
        this.toast("The photo is no longer on the server; open it again.");
      }
    }
    this.notify();
  }

  /** Run `work` and show its error, if any, to the user. @param {() => Promise<void>} work */
  async reportErrors(work) {
    try {
      await work();
    } catch (error) {
      this.toast(error instanceof Error ? error.message : String(error));
    }
  }

  /** Show a message for some seconds. @param {string} text */
  toast(text) {
    const line = createElement("p", {}, text);
    byId("toasts").append(line);
    setTimeout(() => line.remove(), TOAST_TIME);
  }

  /** Whether any selection is being searched, the first that failed, and whether any to paint over has objects. */
  get searchState() {
    const answers = this.doc.selections.map((selection) => this.finder.answerFor(this.doc, selection));
    const objects = objectsOf(this.doc).map((selection) => this.finder.answerFor(this.doc, selection));
    return {
      pending: answers.some((answer) => answer.state === "pending"),
      failed: answers.find((answer) => answer.state === "failed"),
      ready: objects.some((answer) => answer.objects.length),
    };
  }

  /** Set the line below the photo, which screen readers announce. @param {string} text */
  setStatus(text) {
    if (byId("status").textContent !== text) byId("status").textContent = text;
  }
}
