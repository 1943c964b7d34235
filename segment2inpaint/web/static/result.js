// @ts-check
/** The result: verdict, checks, candidates, and the history. */
import { call, download, get, post } from "./api.js";
import { byId, createElement } from "./app.js";
import { setUpBlink } from "./blink.js";
import { setUpCompare } from "./compare.js";
import { copyPicture } from "./copy_picture.js";
import { withPhoto } from "./document_state.js";
import { setUpJobs, startJob } from "./job.js";
import { mended } from "./mending.js";
import { text } from "./texts.js";
import { inTouchWords } from "./touch_words.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view.js").View} View */
/** @typedef {{name: string, score: number, failed: boolean, doubtful: boolean, sentence: string, picture: boolean}} Check */
/** @typedef {{verdict: string|null, sentence: string, reason: string|null, checks: Check[], settings: Record<string, any>, box: number[], paths: number[][], changed: number}} Candidate */
/** @typedef {{id: string, candidates: Candidate[], action: import("./mending.js").Action|null, attempts: object[], seconds: Record<string, number>, changed_outside: number}} Report */

const MAX_PICTURES = 80; // thumbnails in the cache

/** @type {Map<string, Report|null>} null while it is being fetched */
const reports = new Map();
/** @type {Map<string, Promise<string>>} object URLs by path */
const pictures = new Map();

/** @param {App} app @param {View} view */
export function setUpResults(app, view) {
  setUpJobs(app);
  onClickOnce(app, "download", text("result.writing"), () => download(`/results/${app.doc.result}/file?candidate=${app.doc.candidate}`));
  byId("save-changed").addEventListener("click", () => void app.reportErrors(() => download(`/results/${app.doc.result}/mask?candidate=${app.doc.candidate}`)));
  onClickOnce(app, "copy-picture", text("result.copying"), () => copyPicture(app));
  byId("back").addEventListener("click", () => {
    if (app.tool === "erase") app.selectTool("click");
    app.commit({ ...app.doc, result: null, candidate: 0 });
  });
  onClickOnce(app, "continue", text("result.opening"), async () => {
    const { result, candidate } = app.doc;
    const photo = await post(`/results/${result}/continue?candidate=${candidate}`, {});
    if (app.doc.result !== result) return;
    app.commit(withPhoto(app.doc, photo));
  });
  byId("mend").addEventListener("click", () => void app.reportErrors(() => mend(app)));
  setUpCompare(app, view, () => shownCandidate(app)?.box);
  setUpBlink(app, view);
  app.listeners.add(() => render(app));
}

/** Run `work` at a click, show `status` meanwhile, and ignore clicks until it ends. @param {App} app @param {string} id @param {string} status @param {() => Promise<void>} work */
function onClickOnce(app, id, status, work) {
  const button = byId(id);
  button.addEventListener("click", async () => {
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    app.setStatus(status);
    await app.reportErrors(work);
    app.setStatus("");
    button.ariaBusy = "false";
  });
}

/** Do what may mend the result, and start again. @param {App} app */
async function mend(app) {
  const action = app.doc.result && reports.get(app.doc.result)?.action;
  if (!action) return;
  app.commit({ ...mended(app.doc, action), result: null, candidate: 0 });
  await startJob(app);
}

// --- the report ------------------------------------------------------------------------------

/** @param {App} app */
function render(app) {
  const { result } = app.doc;
  byId("result-section").hidden = !result && !app.erasesResult;
  byId("result-section").inert = !result;
  if (result) void showReport(app, result);
  renderHistory(app);
}

/** The report on the candidate that is shown, undefined until it is fetched. @param {App} app */
export function shownCandidate({ doc }) {
  const candidates = (doc.result && reports.get(doc.result)?.candidates) || [];
  return candidates[Math.min(doc.candidate, candidates.length - 1)];
}

/** Show the report on a result. The first call fetches it. @param {App} app @param {string} id */
async function showReport(app, id) {
  if (!reports.has(id)) {
    reports.set(id, null);
    await app.reportErrors(async () => {
      reports.set(id, await get(`/results/${id}`));
    });
    if (!reports.get(id)) return void reports.delete(id);
    return app.notify(); // others show parts of the report too
  }
  const report = reports.get(id);
  if (report && app.doc.result === id) renderReport(app, report);
}

/** @param {App} app @param {Report} report */
function renderReport(app, report) {
  const index = app.doc.candidate;
  const candidate = report.candidates[Math.min(index, report.candidates.length - 1)];
  const section = byId("result-section");
  const key = `${report.id} ${index}`;
  if (section.dataset.shown === key) return;
  section.dataset.shown = key;
  byId("verdict").textContent = verdictName(candidate.verdict);
  byId("verdict").className = `verdict ${candidate.verdict ?? ""}`;
  const unchecked = app.doc.verify && !candidate.verdict ? text("result.noCheck") : "";
  byId("judgement").textContent = inTouchWords(asSentence(candidate.sentence)) || unchecked;
  renderReason(report.id, index, candidate);
  byId("mend").hidden = !report.action || index > 0;
  byId("mend").textContent = inTouchWords(asSentence(report.action?.sentence ?? "").replace(/\.$/, ""));
  byId("summary").textContent = summary(report, candidate);
  renderCandidates(app, report);
}

/** @param {string|null} verdict */
const verdictName = (verdict) => text(`verdict.${verdict ?? "unchecked"}`);

/** @param {string} words */
const asSentence = (words) => words && `${words[0].toUpperCase()}${words.slice(1)}.`;

/** Show the place of what speaks most against a candidate. @param {string} id @param {number} index @param {Candidate} candidate */
function renderReason(id, index, { reason, checks }) {
  const rows = checks.filter((check) => check.name === reason && check.picture).map((check) => checkPicture(id, index, check));
  byId("checks").replaceChildren(...rows);
}

/** @param {string} id @param {number} index @param {Check} check */
function checkPicture(id, index, check) {
  const row = createElement("li", { class: check.failed ? "failed" : "doubt" });
  const picture = createElement("img", { alt: text("result.place", { sentence: check.sentence }) });
  void fetchPicture(`/results/${id}/checks/${check.name}?candidate=${index}`).then((url) => picture.setAttribute("src", url));
  row.append(picture);
  return row;
}

/** @param {Report} report @param {Candidate} candidate */
function summary(report, { changed, settings }) {
  const seconds = Object.values(report.seconds).reduce((a, b) => a + b, 0).toFixed(1);
  const count = report.attempts.length;
  const { detector, inpainter, shadow } = settings;
  return [
    ...(shadow ? [text("result.withShadow")] : []),
    text("result.pixels", { count: changed, pixels: changed.toLocaleString(), outside: report.changed_outside }),
    text(count > 1 ? "result.madeInAttempts" : "result.made", { detector, inpainter, seconds, count }),
  ].join(" ");
}

/** @param {App} app @param {Report} report */
function renderCandidates(app, report) {
  byId("candidate-list").hidden = report.candidates.length < 2;
  byId("candidate-list").replaceChildren(...report.candidates.map(({ verdict }, i) => {
    const label = text("result.candidate", { number: i + 1, verdict: verdictName(verdict) });
    const button = createElement("button", { role: "radio", "aria-checked": String(i === app.doc.candidate), "aria-label": label });
    button.append(thumbnail(`/results/${report.id}/preview?candidate=${i}`), createElement("span", { class: `verdict ${verdict ?? ""}` }, verdict ? verdictName(verdict) : String(i + 1)));
    button.addEventListener("click", () => app.commit({ ...app.doc, candidate: i }));
    return button;
  }));
}

// --- the history -----------------------------------------------------------------------------

/** A thumbnail of every result so far, to go back to. @param {App} app */
function renderHistory(app) {
  const { result, candidate } = app.doc;
  /** @type {Map<string, number>} index in the history, by result and candidate */
  const steps = new Map();
  app.history.docs.forEach((doc, i) => {
    if (doc.result) steps.set(`${doc.result} ${doc.candidate}`, i);
  });
  byId("history-section").hidden = steps.size < 1;
  const key = JSON.stringify([[...steps], result, candidate]);
  if (byId("history").dataset.shown === key) return;
  byId("history").dataset.shown = key;
  byId("history").replaceChildren(...[...steps].map(([name, index], i) => {
    const [stepResult, stepCandidate] = name.split(" ");
    const isCurrent = stepResult === result && Number(stepCandidate) === candidate;
    const button = createElement("button", { "aria-label": text("history.result", { number: i + 1 }), ...(isCurrent ? { "aria-current": "true" } : {}) });
    button.append(thumbnail(`/results/${stepResult}/preview?candidate=${stepCandidate}`));
    button.addEventListener("click", () => app.commit(app.history.docs[index]));
    return createElement("li", {}, button);
  }));
}

/** @param {string} path */
function thumbnail(path) {
  const picture = createElement("img", { alt: "" });
  void fetchPicture(path).then((url) => url && picture.setAttribute("src", url));
  return picture;
}

/** The object URL of a picture. An `img` cannot send the token itself. @param {string} path @returns {Promise<string>} */
function fetchPicture(path) {
  const cached = pictures.get(path);
  if (cached) return cached;
  const url = call("GET", path).then((response) => response.blob()).then(URL.createObjectURL).catch(() => "");
  pictures.set(path, url);
  const oldest = pictures.keys().next().value;
  if (pictures.size > MAX_PICTURES && oldest !== undefined) {
    void pictures.get(oldest)?.then(URL.revokeObjectURL);
    pictures.delete(oldest);
  }
  return url;
}
