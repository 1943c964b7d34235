// @ts-check
/** What a click, a box or a stroke in the photo does to the document. */
import { activeSelection, addSelection, canExclude, changeSelection } from "./document_state.js";
import { containsPixel } from "./draw.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Point} Point */

const GRANULARITIES = /** @type {const} */ (["part", "object", "whole"]);
const MIN_BOX_SIDE = 2; // px

/**
 * Use the current tool at a pixel of the photo: a click, or the pick of a colour or a suggestion.
 * @param {App} app @param {Point} point @param {{exclude?: boolean, newObject?: boolean}} options
 */
export function addClick(app, point, { exclude = false, newObject = false } = {}) {
  if (app.suggestions) return toggleSuggestion(app, point);
  const { doc } = app;
  if (app.tool === "color") {
    const color = { at: point, tolerance: null, everywhere: false };
    return app.commit(addSelection(doc, "color", { color }));
  }
  const outlined = exclude || app.tool !== "click" ? undefined : app.distractions?.at(point);
  if (outlined) return app.commit(addSelection(doc, "click", { include: [outlined.click] }));
  const active = activeSelection(doc);
  const isRepeated = active && [...active.include, ...active.exclude].some(([x, y]) => x === point[0] && y === point[1]);
  if (isRepeated && !newObject) return;
  if (exclude || app.tool === "exclude") return excludePoint(app, point);
  app.commit(newObject ? addSelection(doc, "click", { include: [point] }) : withClick(doc, point));
}

/** The document after a click on an object: a further click on the active one, or a new object. @param {Doc} doc @param {Point} point @returns {Doc} */
export function withClick(doc, point) {
  const active = activeSelection(doc);
  if (active?.kind !== "click" && active?.kind !== "box") return addSelection(doc, "click", { include: [point] });
  return changeSelection(doc, active.id, (s) => ({ ...s, include: [...s.include, point], strokes: [] }));
}

/** @param {App} app @param {Point} point */
function excludePoint(app, point) {
  const active = activeSelection(app.doc);
  if (!active) return app.toast(text("hint.clickFirst"));
  if (!canExclude(active)) return app.toast(text("hint.cannotExclude"));
  app.commit(changeSelection(app.doc, active.id, (s) => ({ ...s, exclude: [...s.exclude, point], strokes: [] })));
}

/** Choose the smallest suggested object at a pixel, or drop it if it was chosen. @param {App} app @param {Point} point */
function toggleSuggestion(app, pixel) {
  const objects = app.suggestions?.objects ?? [];
  const hit = objects
    .map((object, i) => ({ object, number: i + 1 }))
    .filter(({ object }) => containsPixel(object.paths, pixel))
    .sort((a, b) => a.object.area - b.object.area)[0];
  if (!hit) return;
  const selection = app.doc.selections.find(({ kind }) => kind === "everything");
  if (!selection) return app.commit(addSelection(app.doc, "everything", { pick: [hit.number] }));
  const previous = selection.pick ?? [];
  const pick = previous.includes(hit.number) ? previous.filter((n) => n !== hit.number) : [...previous, hit.number].sort((a, b) => a - b);
  if (!pick.length) return app.commit({ ...app.doc, selections: app.doc.selections.filter((s) => s !== selection), active: 0 });
  app.commit(changeSelection(app.doc, selection.id, (s) => ({ ...s, pick })));
}

/** Select the object in a box. @param {App} app @param {Point} from @param {Point} to */
export function addBox(app, from, to) {
  const box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])];
  if (box[2] - box[0] < MIN_BOX_SIDE || box[3] - box[1] < MIN_BOX_SIDE) return;
  app.commit(addSelection(app.doc, "box", { box }));
}

/**
 * Subtract from all selections, or paint to the active one.
 * @param {App} app @param {Point[]} points @param {number} radius in photo px
 */
export function addStroke(app, points, radius) {
  const { doc } = app;
  const stroke = { points, radius, erase: app.tool === "subtract" };
  if (stroke.erase) {
    if (!doc.selections.length) return;
    const selections = doc.selections.map((selection) => ({ ...selection, strokes: [...selection.strokes, stroke] }));
    return app.commit({ ...doc, selections });
  }
  const active = activeSelection(doc);
  const isSingleObject = active && app.finder.answerFor(doc, active).objects.length <= 1;
  if (!active || !isSingleObject) return app.commit(addSelection(doc, "brush", { strokes: [stroke] }));
  app.commit(changeSelection(doc, active.id, (s) => ({ ...s, strokes: [...s.strokes, stroke] })));
}

/** Set what the clicks of the active selection select. @param {App} app @param {"auto"|"part"|"object"|"whole"} granularity */
export function setGranularity(app, granularity) {
  const active = activeSelection(app.doc);
  if (!active || !active.include.length || active.granularity === granularity) return;
  app.commit(changeSelection(app.doc, active.id, (s) => ({ ...s, granularity, strokes: [] })));
}

/** @param {App} app @param {number} step */
export function changeGranularity(app, step) {
  const index = GRANULARITIES.indexOf(/** @type {any} */ (activeSelection(app.doc)?.granularity));
  setGranularity(app, GRANULARITIES[Math.min(2, Math.max(0, (index < 0 ? 1 : index) + step))]);
}
