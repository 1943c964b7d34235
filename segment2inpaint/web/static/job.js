// @ts-check
/** Start a job, follow its progress, and cancel it. */
import { call, Failure, get, post } from "./api.js";
import { byId } from "./app.js";
import { showProgress } from "./busy.js";
import { activeSelection } from "./document_state.js";
import { currentRequest } from "./request_export.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {{id: string, state: string, place: number, stage: string, share: number, sketches: number, result: string|null, error: {kind: string, message: string}|null}} Job */

const NAMED_STAGES = ["ending", "load", "detect", "refine", "inpaint", "verify", "check"];
const FINDING_STAGES = ["detect", "refine"]; // done before the job starts, if the mask is shown
const END_MESSAGE_TIME = 5000; // ms
const WAIT = 10; // seconds that the server may hold an answer until the status changes
const RETRY_INTERVAL = 1000; // ms, while the server does not answer

/** @type {Set<string>} ids of the jobs that are being followed */
const followedJobs = new Set();

/** @type {{message: string, doc: import("./document_state.js").Doc}|null} */
let shownEnd = null; // of the last job

/** @param {App} app */
export function setUpJobs(app) {
  byId("run").addEventListener("click", () => void app.reportErrors(() => startJob(app)));
  byId("cancel").addEventListener("click", () => void app.reportErrors(() => cancel(app)));
  app.listeners.add(() => render(app));
}

/** @param {App} app */
async function cancel(app) {
  if (app.upload) return app.upload.controller.abort();
  byId("busy-stage").textContent = text("busy.stopping");
  app.stopsStarting = app.isStarting;
  app.notify();
  if (app.doc.job) await call("DELETE", `/jobs/${app.doc.job}`);
}

/** @param {App} app */
export async function startJob(app) {
  if (app.editing) await app.whileStarting(() => requestJob(app));
}

/** Ask the server for the job of the document. @param {App} app */
export async function requestJob(app) {
  const { photo } = app.doc;
  const job = await post(`/photos/${photo?.id}/jobs`, currentRequest(app));
  const isShown = app.doc.photo === photo && !app.doc.result; // no other photo or result was opened
  if (isShown) {
    void loadPreview(app, job.id);
    app.amend({ ...app.doc, job: job.id });
  }
  if (app.stopsStarting || !isShown) await call("DELETE", `/jobs/${job.id}`);
}

/** Load a rough fill to show while the job runs. @param {App} app @param {string} job */
async function loadPreview(app, job) {
  const { photo, fill } = app.doc;
  const json = app.finder.outlineRequest(app.doc);
  if (!photo || !json || json.replace || fill.picture) return;
  try {
    const response = await call("POST", `/photos/${photo.id}/rough`, { json });
    const box = (response.headers.get("x-box") ?? "").split(",").map(Number);
    app.preview = { job, box, bitmap: await createImageBitmap(await response.blob()) };
    app.notify();
  } catch {
    app.preview = null; // the job does not need it
  }
}

/** Follow a job until it ends, also one from before a reload. @param {App} app @param {string} id */
async function followJob(app, id) {
  if (followedJobs.has(id)) return;
  followedJobs.add(id);
  try {
    await followUntilEnd(app, id);
  } finally {
    followedJobs.delete(id);
  }
}

/** @param {App} app @param {string} id */
async function followUntilEnd(app, id) {
  let wait = 0;
  for (;;) {
    const job = await getJob(id, wait);
    wait = WAIT;
    if (app.doc.job !== id) return;
    if (!job) continue;
    renderProgress(app, job);
    if (job.sketches) void showSketch(app, job);
    if (job.state !== "queued" && job.state !== "running") return finishJob(app, job);
  }
}

/** The status of a job, undefined if the server does not answer. @param {string} id @param {number} wait @returns {Promise<Job|undefined>} */
async function getJob(id, wait) {
  try {
    return await get(`/jobs/${id}?wait=${wait}`);
  } catch (error) {
    if (error instanceof Failure && error.status === 404) return lostJob(id, error);
    byId("busy-stage").textContent = text("busy.waitingForServer");
    await new Promise((resolve) => setTimeout(resolve, RETRY_INTERVAL));
  }
}

/** A failed job in place of one that the server does not know. @param {string} id @param {Failure} error @returns {Job} */
function lostJob(id, { kind, message }) {
  return { id, state: "failed", place: 0, stage: "", share: 0, sketches: 0, result: null, error: { kind, message } };
}

/** @param {App} app @param {Job} job */
function finishJob(app, { state, result, error }) {
  const doc = { ...app.doc, job: null, erases: false };
  const finished = { ...doc, result, candidate: 0 };
  const { erases } = app.doc; // then the result belongs to the step that began with the stroke
  if (!erases) app.amend(doc);
  if (state === "done" && erases) app.amend(finished);
  else if (state === "done") app.commit(finished);
  else if (erases) app.takeBack();
  if (state === "failed") app.toast(error?.kind === "ModelMissing" ? text("job.modelMissing") : (error?.message ?? text("job.failed")));
  showEnd(app, state === "done" ? text("job.done") : state === "cancelled" ? text("job.cancelled") : "");
}

/** Say for some seconds, or until the document changes, that the job has ended. @param {App} app @param {string} message */
function showEnd(app, message) {
  app.setStatus(message);
  const end = (shownEnd = { message, doc: app.doc });
  setTimeout(() => shownEnd === end && hideEnd(app), END_MESSAGE_TIME);
}

/** @param {App} app */
function hideEnd(app) {
  if (shownEnd?.message && byId("status").textContent === shownEnd.message) app.setStatus("");
  shownEnd = null;
}

// --- rendering -------------------------------------------------------------------------------

/** @param {App} app */
function render(app) {
  const { job } = app.doc;
  if (job) void followJob(app, job);
  if (shownEnd && shownEnd.doc !== app.doc) hideEnd(app);
  byId("busy").hidden = !job && !app.isStarting && !app.upload;
  if (app.upload) renderUpload(app.upload.share);
  else if (app.isStarting && !app.stopsStarting)
    renderProgress(app, { state: "running", place: 0, stage: isLooking(app) ? "detect" : "", share: 0 });
  if (!job) byId("busy-sketch").hidden = true;
  byId("busy-preview-note").hidden = !job || app.preview?.job !== job;
}

/** Whether an object is being looked for: a stroke is its own mask. @param {App} app */
const isLooking = (app) => app.searchState.pending && activeSelection(app.doc)?.kind !== "brush";

/** @param {number} share that is sent */
function renderUpload(share) {
  if (share < 1) showProgress({ title: text("busy.uploading"), share });
  else showProgress({ title: text("busy.reading") });
}

/** @param {App} app @param {{state: string, place: number, stage: string, share: number}} job */
function renderProgress(app, { state, place, stage, share }) {
  const shown = FINDING_STAGES.includes(stage) && app.searchState.ready ? "inpaint" : stage;
  const name = NAMED_STAGES.includes(shown) ? text(`stage.${shown}`) : shown && shown[0].toUpperCase() + shown.slice(1);
  showProgress({
    title: name || text(state === "queued" ? "busy.waiting" : "busy.starting"),
    note: place ? text("busy.jobsAhead", { count: place }) : "",
    share,
  });
}

/** Show the newest preview of a diffusion model. @param {App} app @param {{id: string, sketches: number}} job */
async function showSketch(app, { id, sketches }) {
  const picture = /** @type {HTMLImageElement} */ (byId("busy-sketch"));
  const key = `${id} ${sketches}`;
  if (picture.dataset.shown === key) return;
  picture.dataset.shown = key;
  const blob = await call("GET", `/jobs/${id}/sketch`).then((response) => response.blob()).catch(() => null);
  if (!blob || app.doc.job !== id) return;
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(blob);
  await picture.decode().catch(() => {});
  picture.hidden = app.doc.job !== id;
}
