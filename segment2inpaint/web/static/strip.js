// @ts-check
/**
 * Several open photos. Each has its own document and history, and one of them is shown.
 *
 * A photo is uploaded when it is first shown or edited, so that the server never holds more than
 * it needs. The server drops no photo of the strip for another one. If it has dropped a photo
 * after an hour, the photo is uploaded again; its results are lost then.
 *
 * @typedef {Object} Entry a photo of the strip
 * @property {string} name
 * @property {File|null} file null after a reload
 * @property {History} history
 * @property {string} error why it could not be opened or edited, in one line
 * @property {string|null} failedResult the result that was shown when the error came
 * @property {string} shared the selections that it got from another photo, as JSON
 * @property {""|"waiting"|"running"} state in the run over all photos
 * @property {Promise<void>|null} opening the upload in progress
 * @typedef {{total: number, done: number, share: number, job: string|null, cancelled: boolean}} Run
 */
import { call, Failure, get, upload } from "./api.js";
import { EMPTY, History, STORAGE_KEY } from "./document_state.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Photo} Photo */

const STRIP_KEY = "segment2inpaint-strip"; // of the session storage
const DELETE_WAIT = 300; // ms until a photo that was shown is deleted: its tiles may be on the way
const KEY_WAIT = 200; // ms from a key to an upload: another key may follow

export class Strip {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {Entry[]} */
    this.entries = [];
    /** @type {Entry|null} */
    this.requested = null; // shown as soon as it is open
    /** @type {Run|null} */
    this.run = null; // over all photos
    /** @type {Doc|null} */
    this.source = null; // whose request the last run used for all photos
    this.note = ""; // what the last run over all photos did
    this.start = performance.now(); // ms, when the strip was opened
    /** @type {Promise<unknown>} */
    this.deletions = Promise.resolve(); // of photos that were taken out
    this.#load();
  }

  /** Whether there are several photos, or one that could not be opened. */
  get isOpen() {
    return this.entries.length > 1 || (this.entries.length === 1 && !this.shown);
  }

  /** @returns {Entry|undefined} */
  get shown() {
    return this.entries.find(({ history }) => history === this.app.history);
  }

  /** Open a photo alone, or several photos as a strip. An open strip gets more photos. @param {File[]} files */
  async open(files) {
    if (!files.length) return;
    if (files.length === 1 && !this.entries.length) return this.app.openPhoto(files[0], files[0].name);
    if (!this.entries.length) this.start = performance.now();
    if (!this.entries.length && this.app.doc.photo) this.entries.push(newEntry(this.app.doc.photo.name, null, this.app.history));
    const { photos } = this.app.capabilities?.limits ?? { photos: Infinity };
    const free = photos - this.entries.length;
    if (files.length > free) this.app.toast(text("strip.full", { limit: photos, count: files.length - free, total: files.length }));
    const added = files.slice(0, free).map((file) => newEntry(file.name, file, new History(`${STORAGE_KEY}-${crypto.randomUUID?.() ?? Math.random()}`)));
    this.entries.push(...added);
    this.note = "";
    this.store();
    for (const entry of added) if (await this.show(entry)) return;
  }

  /**
   * Show a photo. Return false if it cannot be opened; then the one before stays.
   * @param {Entry} entry @param {{byKey?: boolean}} options
   */
  async show(entry, { byKey = false } = {}) {
    const { app } = this;
    if (app.isStarting) return true;
    this.requested = entry === this.shown ? null : entry;
    app.notify();
    if (byKey) await new Promise((resolve) => setTimeout(resolve, KEY_WAIT));
    if (this.requested !== entry) return true;
    const isOpen = await this.tryOpen(entry);
    if (this.requested !== entry) return true;
    this.requested = null;
    if (isOpen) {
      app.history = entry.history;
      app.suggestions = app.dragBox = app.hover = null;
    }
    this.store();
    app.notify();
    return isOpen;
  }

  /** Open a photo, or set its error. @param {Entry} entry */
  async tryOpen(entry) {
    const hadResult = entry.history.doc.result !== null;
    this.app.isOpening = true;
    this.app.notify();
    try {
      await this.ensureOpen(entry, true);
      if (hadResult && !entry.history.doc.result) this.app.toast(text("strip.droppedPhoto", { name: entry.name }));
      return true;
    } catch (error) {
      setError(entry, error);
      return false;
    } finally {
      this.app.isOpening = false;
    }
  }

  /**
   * Upload a photo unless the server has it. Throws an error of one line.
   * @param {Entry} entry @param {boolean} prepare whether the server gets ready for a click
   */
  async ensureOpen(entry, prepare) {
    entry.opening ??= this.#open(entry, prepare).finally(() => (entry.opening = null));
    await entry.opening;
  }

  /** @param {Entry} entry @param {boolean} prepare */
  async #open(entry, prepare) {
    const { doc } = entry.history;
    if (doc.photo && (await exists(`/photos/${doc.photo.id}`))) return;
    if (!entry.file) throw new Error(text("strip.lostPhoto", { name: entry.name }));
    const keep = Math.ceil((performance.now() - this.start) / 1000); // drop nothing that the strip has used
    const send = prepare ? this.app.send.bind(this.app) : upload; // the shown photo tells its share
    const photo = await send(`/photos?prepare=${prepare}&keep=${keep}&name=${encodeURIComponent(entry.name.slice(-200))}`, entry.file);
    entry.error = "";
    entry.history.clear();
    entry.history.push(doc.photo ? reopened(doc, photo) : this.newDoc(photo));
  }

  /** The document of a photo without selections. @param {Photo} photo @returns {Doc} */
  newDoc(photo) {
    const { detector, inpainter, verify } = this.app.doc;
    return { ...EMPTY, detector, inpainter, verify, photo };
  }

  /** Take a photo out of the strip and the server, and show its neighbour if it was shown. @param {Entry} entry */
  async remove(entry) {
    if (this.run) return;
    const index = this.entries.indexOf(entry);
    const isCurrent = entry === (this.requested ?? this.shown);
    this.entries.splice(index, 1);
    this.app.notify();
    sessionStorage.removeItem(entry.history.key);
    const neighbours = [...this.entries.slice(index), ...this.entries.slice(0, index).reverse()];
    if (isCurrent) for (const next of neighbours) if (await this.show(next)) break;
    this.deletions = Promise.all([this.deletions, deletePhotos(entry, isCurrent ? DELETE_WAIT : 0)]);
    this.#dissolve(entry);
    this.store();
    this.app.notify();
  }

  /** Go back to a page with one photo or none, if the strip has no more. @param {Entry} [removed] the photo that was taken out */
  #dissolve(removed) {
    if (this.entries.length > 1 || this.isOpen) return;
    const { shown } = this;
    this.entries = [];
    this.source = null;
    this.note = "";
    if (shown) return shown.history.moveTo(STORAGE_KEY);
    if (removed && removed.history !== this.app.history) return; // the strip is gone already, and one photo is shown
    sessionStorage.removeItem(STORAGE_KEY);
    this.app.history = new History();
  }

  /** Take out the results that the server has dropped. Return how many those are. */
  async dropLostResults() {
    const results = this.entries.filter(({ history }) => history.doc.result);
    const found = await Promise.all(results.map(({ history }) => exists(`/results/${history.doc.result}`)));
    const lost = results.filter((entry, i) => !found[i]);
    for (const entry of lost) {
      entry.history.amend({ ...entry.history.doc, result: null, candidate: 0 });
      setError(entry, text("strip.droppedResult"));
    }
    this.app.notify();
    return lost.length;
  }

  /** Keep the photos of the last visit that the server still has, or whose files are here. */
  async restore() {
    const found = await Promise.all(this.entries.map(async ({ file, history: { doc } }) => file || (doc.photo && (await exists(`/photos/${doc.photo.id}`)))));
    const lost = this.entries.filter((entry, i) => !found[i]);
    this.entries = this.entries.filter((entry, i) => found[i]);
    for (const entry of lost) sessionStorage.removeItem(entry.history.key);
    if (lost.length) this.app.toast(text("strip.lostPhotos", { names: listed(lost.map(({ name }) => name)), count: lost.length }));
    const { shown } = this;
    if (!shown || !(await this.tryOpen(shown))) for (const entry of this.entries) if (await this.show(entry)) break;
    this.#dissolve();
    this.store();
    this.app.notify();
  }

  /** Keep the strip for a reload. */
  store() {
    const entries = this.entries.map(({ name, history, error, failedResult, shared }) => ({ name, key: history.key, error, failedResult, shared }));
    const stored = { entries, shown: this.app.history.key, isRunning: this.run !== null, note: this.note };
    if (entries.length) sessionStorage.setItem(STRIP_KEY, JSON.stringify(stored));
    else sessionStorage.removeItem(STRIP_KEY);
  }

  #load() {
    const stored = JSON.parse(sessionStorage.getItem(STRIP_KEY) ?? "null");
    if (!stored) return;
    this.entries = stored.entries.map((/** @type {any} */ { name, key, ...state }) => ({ ...newEntry(name, null, new History(key)), ...state }));
    this.note = stored.isRunning ? text("strip.stoppedByReload") : stored.note;
    const shown = this.entries.find(({ history }) => history.key === stored.shown);
    if (shown) this.app.history = shown.history;
  }
}

/** @param {string} name @param {File|null} file @param {History} history @returns {Entry} */
const newEntry = (name, file, history) => ({ name, file, history, error: "", failedResult: null, shared: "", state: "", opening: null });

/** @param {Entry} entry @param {unknown} error */
export function setError(entry, error) {
  entry.error = error instanceof Error ? error.message : String(error);
  entry.failedResult = entry.history.doc.result;
}

/** The error of an entry, unless it has a newer result. @param {Entry} entry */
export function errorOf({ error, failedResult, history: { doc } }) {
  return doc.result && doc.result !== failedResult ? "" : error;
}

/** Delete the photos of an entry from the server, which may have dropped them. @param {Entry} entry @param {number} wait ms */
async function deletePhotos({ history, opening }, wait) {
  await opening?.catch(() => {});
  if (wait) await new Promise((resolve) => setTimeout(resolve, wait));
  const photos = new Set(history.docs.flatMap(({ photo }) => photo?.id ?? []));
  for (const photo of photos) await call("DELETE", `/photos/${photo}`).catch(() => {});
}

/** The document after the photo was uploaded again: uploaded files and results are lost. @param {Doc} doc @param {Photo} photo @returns {Doc} */
function reopened(doc, photo) {
  const selections = doc.selections.filter(({ file }) => !file);
  return { ...doc, photo, selections, fill: { ...doc.fill, picture: null }, job: null, result: null, candidate: 0 };
}

/** Whether the server has this. @param {string} path */
async function exists(path) {
  try {
    await get(path);
    return true;
  } catch (error) {
    if (error instanceof Failure && error.status === 404) return false;
    throw error;
  }
}

/** The first names, and the number of the others. @param {string[]} names */
function listed(names) {
  const count = names.length - 3;
  return count > 0 ? text("strip.namesAndMore", { names: names.slice(0, 3).join(", "), count }) : names.join(", ");
}
