// @ts-check
/** Cache of the tiles of photos and results: visible ones are fetched, the oldest are dropped. */
import { call } from "./api.js";

const MAX_FETCHES = 6; // at the same time

/** @typedef {{path: string, query: string, level: number, column: number, row: number}} TileKey */

/** @param {TileKey} tile */
const addressOf = ({ path, query, level, column, row }) => `${path}/tiles/${level}/${column}/${row}${query}`;

export class Tiles {
  /** @param {() => void} notify called when a tile has arrived @param {number} maxTiles in the cache, about a megabyte each */
  constructor(notify, maxTiles) {
    this.notify = notify;
    this.maxTiles = maxTiles;
    /** @type {Map<string, ImageBitmap>} */
    this.bitmaps = new Map();
    /** @type {Map<string, AbortController>} */
    this.fetches = new Map();
    /** @type {Set<string>} */
    this.failures = new Set();
  }

  /** The bitmap of a tile, if it is in the cache. @param {TileKey} tile */
  get(tile) {
    const address = addressOf(tile);
    const bitmap = this.bitmaps.get(address);
    if (bitmap) {
      this.bitmaps.delete(address);
      this.bitmaps.set(address, bitmap); // the most recently used is the last
    }
    return bitmap;
  }

  /** Fetch these tiles in order, and abort all other fetches. @param {TileKey[]} tiles */
  fetchOnly(tiles) {
    const addresses = tiles.map(addressOf);
    const needed = new Set(addresses);
    for (const [address, controller] of this.fetches) if (!needed.has(address)) controller.abort();
    for (const address of addresses) {
      if (this.fetches.size >= MAX_FETCHES) return;
      const known = this.bitmaps.has(address) || this.fetches.has(address) || this.failures.has(address);
      if (!known) void this.#fetch(address);
    }
  }

  /** @param {string} address */
  async #fetch(address) {
    const controller = new AbortController();
    this.fetches.set(address, controller);
    try {
      const response = await call("GET", address, { signal: controller.signal });
      this.bitmaps.set(address, await createImageBitmap(await response.blob()));
      this.#dropOldest();
    } catch {
      if (!controller.signal.aborted) this.failures.add(address);
    } finally {
      this.fetches.delete(address);
      this.notify();
    }
  }

  /** Fetch tiles again that failed. */
  retry() {
    this.failures.clear();
    this.notify();
  }

  #dropOldest() {
    for (const [address, bitmap] of this.bitmaps) {
      if (this.bitmaps.size <= this.maxTiles) return;
      this.bitmaps.delete(address);
      bitmap.close();
    }
  }
}
