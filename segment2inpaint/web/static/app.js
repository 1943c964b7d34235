// @ts-check
/** The state that the parts of the page share: the document and its history, the tool, messages. */
import { Failure, get, isAbort, upload } from "./api.js";
import { History, objectsOf, withPhoto } from "./document_state.js";
import { Finder } from "./objects.js";
import { text } from "./texts.js";
import { inTouchWords } from "./touch_words.js";

/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Point} Point */
/** @typedef {"click"|"erase"|"exclude"|"box"|"brush"|"subtract"|"color"|"hand"} Tool */

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

/** An error in words for the user. @param {unknown} error */
export const messageOf = (error) =>
  error instanceof Failure ? error.message : text("error.page");

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
    this.compares = false; // shows the divider between the photo and the result
    /** @type {number[][]|null} */
    this.widened = null; // contours of the changed part, if it is wider than the outline that was shown
    /** @type {{share: number, controller: AbortController}|null} */
    this.upload = null; // that is running
    /** @type {import("./distractions.js").Distractions|null} */
    this.distractions = null; // things at the edge that could go
    this.serverAway = false; // the server does not answer
    this.isOpening = false; // a photo is being uploaded
    this.isStarting = false; // a job is being started
    this.stopsStarting = false; // the user has cancelled it meanwhile
    /** @type {any} */
    this.capabilities = null; // of the server, from /about
    /** @type {Map<string, File>} */
    this.uploadedFiles = new Map(); // clean plates and pictures to insert, by id
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

  /** Whether Erase can remove something: from the photo, or from the result that is shown. */
  get erasing() {
    return this.tool === "erase" && this.doc.photo !== null && !this.doc.job && !this.isStarting;
  }

  /** Whether Erase works on a result, whose report stays until the next one. */
  get erasesResult() {
    const isRunning = this.doc.job !== null || this.isStarting;
    return this.doc.erases && isRunning && Boolean(this.history.previous?.result);
  }

  /** Whether the tool can be used on the photo. */
  get usesTool() {
    return this.editing || this.erasing;
  }

  get hasBrush() {
    return ["brush", "subtract", "erase"].includes(this.tool);
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

  /** Undo the last step for good. */
  takeBack() {
    this.history.drop();
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

  /** @param {boolean} showsBefore */
  setShowsBefore(showsBefore) {
    if (this.showsBefore === showsBefore) return;
    this.showsBefore = showsBefore;
    this.notify();
  }

  /** Do the work that starts a job. No other can be started meanwhile. @param {() => Promise<void>} work */
  async whileStarting(work) {
    this.isStarting = true;
    this.stopsStarting = false;
    this.setStatus("");
    this.notify();
    try {
      await work();
    } finally {
      this.isStarting = false;
      this.notify();
    }
  }

  /** Wait until all selections are searched, or the user cancels. */
  async untilFound() {
    while (this.searchState.pending && !this.stopsStarting)
      await new Promise((resolve) => {
        const listener = () => (this.listeners.delete(listener), resolve(undefined));
        this.listeners.add(listener);
      });
  }

  /** Upload a file, show its progress, and let the user cancel it. @param {string} path @param {Blob} file */
  async send(path, file) {
    const controller = new AbortController();
    this.upload = { share: 0, controller };
    this.notify();
    try {
      return await upload(path, file, (share) => {
        this.upload = { share, controller };
        this.notify();
      }, controller.signal);
    } finally {
      this.upload = null;
      this.notify();
    }
  }

  /** @param {Blob} file @param {string} name */
  async openPhoto(file, name) {
    this.isOpening = true;
    this.notify();
    await this.reportErrors(async () => {
      const photo = await this.send(`/photos?name=${encodeURIComponent(name.slice(-200))}`, file);
      this.suggestions = null;
      this.commit(withPhoto(this.doc, photo));
    });
    this.isOpening = false;
    this.notify();
  }

  /**
   * Upload the file that the user chose, null if there is none or another photo is shown by then.
   * @param {HTMLInputElement} input @param {"mask"|"plate"|"picture"} kind
   * @returns {Promise<{id: string, name: string}|null>}
   */
  async uploadChosenFile(input, kind) {
    const file = input.files?.[0];
    input.value = "";
    return file ? this.uploadFile(file, kind) : null;
  }

  /** @param {File} file @param {"mask"|"plate"|"picture"} kind @returns {Promise<{id: string, name: string}>} */
  async uploadFile(file, kind) {
    const photo = this.doc.photo?.id;
    const query = `kind=${kind}&name=${encodeURIComponent(file.name.slice(-200))}`;
    const stored = await this.send(`/photos/${photo}/files?${query}`, file);
    this.uploadedFiles.set(stored.id, file);
    if (stored.note) this.toast(stored.note);
    return photo === this.doc.photo?.id ? stored : null;
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
        this.toast(text("opening.lostPhoto"));
      }
    }
    this.notify();
  }

  /** Run `work` and show its error, if any, to the user. @param {() => Promise<void>} work */
  async reportErrors(work) {
    try {
      await work();
    } catch (error) {
      if (!isAbort(error)) this.toast(messageOf(error));
    }
  }

  /** Show a message for some seconds. @param {string} message */
  toast(message) {
    const line = createElement("p", {}, inTouchWords(message));
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

  /** Set the line below the photo, which screen readers announce. @param {string} message */
  setStatus(message) {
    const words = inTouchWords(message);
    if (byId("status").textContent !== words) byId("status").textContent = words;
  }
}
