// @ts-check
/** The tool Erase: what is painted over or clicked is removed at once, and the result is gone on from. */
import { post } from "./api.js";
import { addSelection, withPhoto } from "./document_state.js";
import { requestJob } from "./job.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Point} Point */

/** Remove what lies under a stroke. @param {App} app @param {Point[]} points @param {number} radius in photo px */
export function eraseStroke(app, points, radius) {
  const stroke = { points, radius, erase: false };
  app.stroke = points; // drawn until the mask is there
  return erase(app, (doc) => addSelection(doc, "brush", { strokes: [stroke] }));
}

/** Remove the object at a pixel. @param {App} app @param {Point} point */
export function eraseAt(app, point) {
  const click = app.distractions?.at(point)?.click ?? point;
  return erase(app, (doc) => addSelection(doc, "click", { include: [click] }));
}

/** @param {App} app @param {(doc: Doc) => Doc} select */
async function erase(app, select) {
  try {
    if (app.erasing) await app.whileStarting(async () => {
      const doc = { ...select(await photoToErase(app)), erases: true };
      if (app.stopsStarting) return;
      app.commit(doc);
      await startRemoval(app);
    });
  } finally {
    app.stroke = null;
  }
}

/** The document without selections, of the result if one is shown. @param {App} app @returns {Promise<Doc>} */
async function photoToErase({ doc }) {
  if (!doc.result) return { ...doc, selections: [], active: 0, mode: "remove" };
  const photo = await post(`/results/${doc.result}/continue?candidate=${doc.candidate}`, {});
  return { ...withPhoto(doc, photo), refine: doc.refine };
}

/** Find the mask of the step just begun and start its job. Take the step back if that fails. @param {App} app */
async function startRemoval(app) {
  const { doc } = app;
  const isShown = () => app.doc.photo === doc.photo && app.doc.erases; // no other photo or result was opened
  const takeBack = () => isShown() && app.takeBack();
  try {
    await app.untilFound();
    app.stroke = null;
    if (!isShown()) return;
    const { ready, failed } = app.searchState;
    if (ready && !app.stopsStarting) return void (await requestJob(app));
    if (failed) app.toast(failed.canRetry ? failed.message : text("hint.notFoundByErase"));
    takeBack();
  } catch (error) {
    takeBack();
    throw error;
  }
}
