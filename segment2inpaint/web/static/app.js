// @ts-check
/** What the parts of the page share: the document and its history, the tool, how to tell things. */
import { Failure, get, send } from "./api.js";
import { EMPTY, History } from "./document_state.js";
import { Finder } from "./objects.js";

/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Point} Point */
/** @typedef {"click"|"exclude"|"box"|"brush"|"erase"|"color"|"hand"} Tool */

/** @template {HTMLElement} [T=HTMLElement] @param {string} id */
export const at = (id) => /** @type {T} */ (document.getElementById(id));

/** @param {string} tag @param {Record<string, string>} [attributes] @param {(Node|string)[]} inside */
export function make(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

export class App {
  constructor() {
    this.history = new History();
    this.finder = new Finder(() => this.changed());
    /** @type {Tool} */
    this.tool = "click";
    this.radius = 16; // of the brush, screen px
    /** @type {Point|null} */
    this.cursor = null; // in photo px
    /** @type {{from: Point, to: Point}|null} */
    this.boxing = null;
    /** @type {Point[]|null} */
    this.stroke = null;
    /** @type {{prompt: string, objects: import("./objects.js").Found[]}|null} */
    this.offered = null; // all that can be told apart, to be picked from
    /** @type {{job: string, box: number[], bitmap: ImageBitmap}|null} */
    this.rough = null; // what a running job may come to
    this.peeking = false; // sees the photo before
    this.away = false; // the server, which does not answer
    this.opening = false; // a photo is on its way
    this.starting = false; // so is a job
    /** @type {any} */
    this.about = null;
    /** @type {Set<() => void>} */
    this.listeners = new Set();
  }

  /** @returns {Doc} */
  get doc() {
    return this.history.doc;
  }

  get editing() {
    return this.doc.photo !== null && !this.doc.result && !this.doc.job && !this.starting;
  }

  /** A step that can be undone. @param {Doc} doc */
  commit(doc) {
    this.history.push(doc);
    this.changed();
  }

  /** A change that belongs to the last step. @param {Doc} doc */
  amend(doc) {
    this.history.amend(doc);
    this.changed();
  }

  changed() {
    this.due ??= requestAnimationFrame(() => {
      this.due = undefined;
      for (const listener of this.listeners) listener();
    });
  }

  /** @type {number|undefined} */
  due;

  /** @param {number} by */
  move(by) {
    this.history.move(by);
    this.changed();
  }

  /** @param {Tool} tool */
  use(tool) {
    this.tool = tool;
    this.boxing = this.offered = null;
    this.changed();
  }

  /** @param {Blob} file @param {string} name */
  async open(file, name) {
    this.opening = true;
    this.changed();
    await this.trying(async () => {
      const photo = await send(`/photos?name=${encodeURIComponent(name.slice(-200))}`, file);
      const { detector, inpainter, verify } = this.doc;
      this.offered = null;
      this.commit({ ...EMPTY, detector, inpainter, verify, photo });
    });
    this.opening = false;
    this.changed();
  }

  /** The photo of the last visit, if it is still there. */
  async resume() {
    const { photo } = this.doc;
    if (!photo) return;
    try {
      await get(`/photos/${photo.id}`);
    } catch (error) {
      if (error instanceof Failure && error.status === 404) {
        this.history.docs = [EMPTY];
        this.history.at = 0;
        this.toast("The photo is no longer on the server; open it again.");
      }
    }
    this.changed();
  }

  /** Do something with the server, and tell what went wrong. @param {() => Promise<void>} work */
  async trying(work) {
    try {
      await work();
    } catch (error) {
      this.toast(error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {string} text */
  toast(text) {
    const line = make("p", {}, text);
    at("toasts").append(line);
    setTimeout(() => line.remove(), 9000);
  }

  /** Whether things are waited for, found, or missed. */
  get finding() {
    const answers = this.doc.things.map((thing) => this.finder.of(this.doc, thing));
    return {
      pending: answers.some((answer) => answer.state === "pending"),
      failed: answers.find((answer) => answer.state === "failed"),
      ready: answers.some((answer) => answer.objects.length),
    };
  }

  /** In the line below the photo, which screen readers read. @param {string} text */
  say(text) {
    if (at("status").textContent !== text) at("status").textContent = text;
  }
}
