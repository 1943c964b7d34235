/** Stand-ins for the parts of a browser and of the page that the modules under test use. */
import { readFileSync } from "node:fs";
import { EMPTY } from "../../segment2inpaint/web/static/document_state.js";

const TEXTS = readFileSync(new URL("../../segment2inpaint/web/static/texts.en.json", import.meta.url), "utf8");

// The texts are in the HTML that the server sends.
globalThis.document = { getElementById: (id) => (id === "texts" ? { textContent: TEXTS } : null) };

/** A photo of 4000 by 3000 px, with tiles at four levels. */
export const PHOTO = { id: "p1", name: "photo.jpg", width: 4000, height: 3000, format: "JPEG", bits: 8, levels: 3 };

/** Replace the session storage by an empty one. Return it. @param {number} [room] characters that fit into it */
export function fakeStorage(room = Infinity) {
  /** @type {Map<string, string>} */
  const items = new Map();
  const storage = {
    items,
    getItem: (key) => items.get(key) ?? null,
    removeItem: (key) => void items.delete(key),
    setItem: (key, value) => {
      if (value.length > room) throw new Error("QuotaExceededError");
      items.set(key, value);
    },
  };
  globalThis.sessionStorage = storage;
  return storage;
}

/**
 * Replace `fetch` by calls that the test answers. Each has the path and the body that was sent,
 * `answer(json)`, `fail(status)`, and whether it `isAborted`.
 */
export function fakeServer() {
  const calls = [];
  globalThis.fetch = (address, { method = "GET", body, signal } = {}) =>
    new Promise((resolve, reject) => {
      const call = { method, path: address.replace("/api/v1", ""), body: body && JSON.parse(body), isAborted: false };
      call.answer = (json) => (resolve(Response.json(json)), settled());
      call.fail = (status) => (resolve(Response.json({ error: { kind: "Test", message: `status ${status}` } }, { status })), settled());
      signal?.addEventListener("abort", () => {
        call.isAborted = true;
        reject(new DOMException("cancelled", "AbortError"));
      });
      calls.push(call);
    });
  return calls;
}

/** Let all promises that can settle do so. */
export const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

/** An app with a document, as the edits use it. Every selection has the same `objects`. */
export function fakeApp(doc = { ...EMPTY, photo: PHOTO }, objects = []) {
  return {
    doc,
    tool: "click",
    suggestions: null,
    toasts: [],
    finder: { answerFor: () => ({ state: "done", objects, message: "" }) },
    uploadedFiles: new Map(),
    commit(next) { this.doc = next; },
    toast(text) { this.toasts.push(text); },
    notify() {},
  };
}
