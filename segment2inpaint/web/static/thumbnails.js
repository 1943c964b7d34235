// @ts-check
/** Small pictures of the photos in the strip, drawn one after the other. */
import { call } from "./api.js";

/** @typedef {import("./strip.js").Entry} Entry */

/** @type {WeakMap<HTMLCanvasElement, string>} what a canvas shows, or will show */
const shown = new WeakMap();
let lastDrawn = Promise.resolve(); // one at a time: a decoded photo is large

/** Draw a photo, or its result, into a canvas that it fills. @param {Entry} entry @param {HTMLCanvasElement} canvas */
export function drawThumbnail(entry, canvas) {
  const { photo, result, candidate } = entry.history.doc;
  const tile = photo && `/tiles/${photo.levels}/0/0`;
  const path = result ? `/results/${result}${tile}?candidate=${candidate}` : photo && `/photos/${photo.id}${tile}`;
  const key = path || entry.name;
  if (shown.get(canvas) === key) return;
  shown.set(canvas, key);
  lastDrawn = lastDrawn.then(() => draw(canvas, path, entry.file)).catch(() => {}); // the name stands for it
}

/** @param {HTMLCanvasElement} canvas @param {string|null} path @param {File|null} file */
async function draw(canvas, path, file) {
  const blob = path ? await (await call("GET", path)).blob() : file;
  if (!blob) return;
  const bitmap = await createImageBitmap(blob);
  const scale = Math.max(canvas.width / bitmap.width, canvas.height / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  bitmap.close();
}
