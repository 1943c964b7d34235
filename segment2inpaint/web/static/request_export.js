// @ts-check
/** The request of the document, as a command for the clipboard or as a file. */
import { download, post, saveAs } from "./api.js";
import { buildRequest } from "./document_state.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */

/** @param {App} app */
export function currentRequest(app) {
  return buildRequest(app.doc, (selection) => app.finder.answerFor(app.doc, selection).objects.map(({ mask }) => mask));
}

/** The name of the photo without its suffix. @param {App} app */
export const photoStem = (app) => (app.doc.photo?.name ?? "photo").replace(/\.\w+$/, "");

/** Copy the command, and save the files that it needs. @param {App} app */
export async function copyCommand(app) {
  const { photo, candidate } = app.doc;
  const answer = await post(`/photos/${photo?.id}/command?candidate=${candidate}`, currentRequest(app));
  if (answer.saves_request) saveAsJson(app, answer.request);
  for (const file of answer.files) await download(`/photos/${photo?.id}/masks/${file.id}`);
  try {
    await navigator.clipboard.writeText(answer.command);
    app.toast(text("request.copied", { command: answer.command }));
  } catch {
    app.toast(answer.command);
  }
}

/** @param {App} app */
export async function saveRequest(app) {
  const answer = await post(`/photos/${app.doc.photo?.id}/command`, currentRequest(app));
  saveAsJson(app, answer.request);
}

/** @param {App} app @param {object} request */
function saveAsJson(app, request) {
  const json = JSON.stringify(request, null, 2);
  saveAs(new Blob([json], { type: "application/json" }), `${photoStem(app)}.request.json`);
}
