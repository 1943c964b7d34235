// @ts-check
/** Tiles of photos and results: fetched where they are seen, the rest of them dropped. */
import { call } from "./api.js";

export const SIDE = 512;
const AT_ONCE = 6;

/** @typedef {{path: string, query: string, level: number, column: number, row: number}} Wanted */

export class Tiles {
  /** @param {() => void} changed @param {number} most tiles kept, about a megabyte each */
  constructor(changed, most = 160) {
    this.changed = changed;
    this.most = most;
    /** @type {Map<string, ImageBitmap>} */
    this.ready = new Map();
    /** @type {Map<string, AbortController>} */
    this.coming = new Map();
    /** @type {Set<string>} */
    this.failed = new Set();
  }

  /** @param {Wanted} want */
  get({ path, query, level, column, row }) {
    const key = `${path}/tiles/${level}/${column}/${row}${query}`;
    const bitmap = this.ready.get(key);
    if (bitmap) {
      this.ready.delete(key);
      this.ready.set(key, bitmap);
    }
    return bitmap;
  }

  /** Fetch these, the first ones first, and no others any more. @param {Wanted[]} wanted */
  want(wanted) {
    const keys = wanted.map((w) => `${w.path}/tiles/${w.level}/${w.column}/${w.row}${w.query}`);
    const set = new Set(keys);
    for (const [key, abort] of this.coming) if (!set.has(key)) abort.abort();
    for (const key of keys) {
      if (this.coming.size >= AT_ONCE) return;
      if (!this.ready.has(key) && !this.coming.has(key) && !this.failed.has(key)) void this.#fetch(key);
    }
  }

  /** @param {string} key */
  async #fetch(key) {
    const abort = new AbortController();
    this.coming.set(key, abort);
    try {
      const answer = await call("GET", key, { signal: abort.signal });
      this.ready.set(key, await createImageBitmap(await answer.blob()));
      this.#drop();
    } catch {
      if (!abort.signal.aborted) this.failed.add(key);
    } finally {
      this.coming.delete(key);
      this.changed();
    }
  }

  /** Fetch again what could not be fetched. */
  retry() {
    this.failed.clear();
    this.changed();
  }

  #drop() {
    for (const [key, bitmap] of this.ready) {
      if (this.ready.size <= this.most) return;
      this.ready.delete(key);
      bitmap.close();
    }
  }
}
