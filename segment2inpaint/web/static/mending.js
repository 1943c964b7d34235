// @ts-check
/** What may mend a result, as a change of the document. */
import { withClick } from "./edits.js";

/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {{name: string, point: [number, number]|null, dilate: number|null, inpainter: string|null, seed: number|null, sentence: string}} Action */

/** @param {Doc} doc @param {Action} action @returns {Doc} */
export function mended(doc, { name, point, dilate, inpainter, seed }) {
  if (name === "take-shadow") return { ...doc, refine: { ...doc.refine, shadow: true } };
  if (dilate !== null) return { ...doc, refine: { ...doc.refine, dilate: `${dilate}px` } };
  if (point !== null) return withClick(doc, point);
  if (inpainter !== null) return { ...doc, inpainter };
  return seed === null ? doc : { ...doc, fill: { ...doc.fill, seed } };
}
