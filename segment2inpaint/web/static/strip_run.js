// @ts-check
/** The run over all photos of a strip: the same request for all, or each photo's own. */
import { call, Failure, get, post } from "./api.js";
import { docForPhoto, refuseFarLarger, requestOf } from "./shared_request.js";
import { setError } from "./strip.js";
import { text } from "./texts.js";

/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./strip.js").Entry} Entry */
/** @typedef {import("./strip.js").Run} Run */
/** @typedef {import("./strip.js").Strip} Strip */

const WAIT = 10; // seconds that the server may hold an answer until the status changes
const STOPPING_STATUS = [0, 401, 503]; // the server is away, wants a token, or is full
const RETRY_INTERVAL = 1000; // ms, while the server does not answer

/**
 * Edit all photos, one after the other. A photo that fails does not stop the others, and one
 * that has the result already is passed over.
 * @param {Strip} strip
 */
export async function runAll(strip) {
  const { app } = strip;
  if (app.doc.selections.length) strip.source = app.doc;
  const run = (strip.run = { total: strip.entries.length, done: 0, share: 0, job: null, cancelled: false });
  for (const entry of strip.entries) [entry.state, entry.error] = ["waiting", ""];
  strip.note = "";
  strip.store();
  try {
    await strip.deletions; // the server has no room for more photos before
    await strip.dropLostResults();
    for (const entry of [...strip.entries]) {
      if (run.cancelled) break;
      await runOne(strip, run, entry);
      strip.store();
    }
    strip.note = noteOf(run, await strip.dropLostResults());
  } catch (error) {
    strip.note = text("strip.stopped", { error: error instanceof Error ? error.message : String(error) });
  } finally {
    for (const entry of strip.entries) entry.state = "";
    strip.run = null;
    strip.store();
    app.notify();
  }
}

/** Stop after the current step. @param {Strip} strip */
export async function cancelRun({ run }) {
  if (!run) return;
  run.cancelled = true;
  if (run.job) await call("DELETE", `/jobs/${run.job}`);
}

/** Edit a photo, or set its error. @param {Strip} strip @param {Run} run @param {Entry} entry */
async function runOne(strip, run, entry) {
  entry.state = "running";
  strip.app.notify();
  try {
    await strip.ensureOpen(entry, false);
    await edit(strip, run, entry);
  } catch (error) {
    if (error instanceof Failure && STOPPING_STATUS.includes(error.status)) throw error; // the others would fail too
    setError(entry, error);
  }
  entry.state = "";
  run.done += 1;
  run.share = 0;
  strip.app.notify();
}

/** @param {Strip} strip @param {Run} run @param {Entry} entry */
async function edit(strip, run, entry) {
  const current = entry.history.doc;
  const doc = await docOf(strip, entry);
  if (!doc) throw new Error(text("strip.nothingSelected"));
  if (current.result && contentOf(current) === contentOf(doc)) return;
  const request = await requestOf(strip.app, doc);
  if (run.cancelled) return;
  const job = await post(`/photos/${doc.photo?.id}/jobs`, request);
  run.job = job.id;
  if (run.cancelled) await cancelRun(strip);
  const { state, result, error } = await follow(strip, run, job.id);
  run.job = null;
  if (state === "failed") throw new Error(error.message);
  if (state !== "done") return;
  if (contentOf(current) !== contentOf(doc)) entry.history.push(doc);
  entry.history.push({ ...doc, result, candidate: 0 });
}

/** The document to edit a photo by: its own if the user has selected something in it. @param {Strip} strip @param {Entry} entry @returns {Promise<Doc|null>} */
async function docOf({ app, source }, entry) {
  const { doc } = entry.history;
  const isOwn = doc.photo?.id === source?.photo?.id || JSON.stringify(doc.selections) !== entry.shared;
  if (doc.selections.length && isOwn) return { ...doc, job: null, result: null, candidate: 0 };
  if (!source || !doc.photo) return null;
  const shared = await docForPhoto(app, source, doc.photo);
  await refuseFarLarger(app, source, shared);
  entry.shared = JSON.stringify(shared.selections);
  return shared;
}

/** What determines a result, as text. @param {Doc} doc */
const contentOf = (doc) => JSON.stringify({ ...doc, active: 0, job: null, result: null, candidate: 0 });

/** Follow a job until it ends. @param {Strip} strip @param {Run} run @param {string} id @returns {Promise<any>} */
async function follow({ app }, run, id) {
  for (let wait = 0; ; wait = WAIT) {
    const job = await getJob(id, wait);
    if (!job) continue;
    if (job.state !== "queued" && job.state !== "running") return job;
    run.share = job.share;
    app.notify();
  }
}

/** The status of a job, null if the server does not answer. @param {string} id @param {number} wait */
async function getJob(id, wait) {
  try {
    return await get(`/jobs/${id}?wait=${wait}`);
  } catch (error) {
    if (!(error instanceof Failure) || error.status !== 0) throw error;
    await new Promise((resolve) => setTimeout(resolve, RETRY_INTERVAL));
    return null;
  }
}

/** What the marks do not say about a run. @param {Run} run @param {number} lost results */
function noteOf(run, lost) {
  if (lost) return text("strip.noSpace", { count: lost });
  return run.cancelled ? text("strip.cancelled") : "";
}
