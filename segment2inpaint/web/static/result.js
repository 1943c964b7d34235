// @ts-check
/** Running a job, and what came of it: verdict, candidates, before and after, history. */
import { call, Failure, get, post, save } from "./api.js";
import { at, make } from "./app.js";
import { EMPTY } from "./document_state.js";
import { request } from "./panel.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view.js").View} View */

const DOUBT = 0.5;
const NO_MODEL = "This needs a model, and there is none here yet: press Models for one. A picture can be put there without.";
const PICTURES = 80; // thumbnails kept
const STAGES = { ending: "Waiting for the cancelled one to let go", detect: "Finding the object", refine: "Refining the mask", inpaint: "Painting", verify: "Looking again", check: "Counting pixels" };

/** @type {Map<string, any>} */
const reports = new Map();
/** @type {Map<string, Promise<string>>} */
const pictures = new Map();
/** @type {Set<string>} */
const watched = new Set();

/** @param {App} app @param {View} view */
export function setUpResults(app, view) {
  at("run").addEventListener("click", () => void app.trying(() => run(app)));
  at("cancel").addEventListener("click", () => void app.trying(async () => {
    at("busy-what").textContent = "Stopping…";
    if (app.doc.job) await call("DELETE", `/jobs/${app.doc.job}`);
  }));
  once(app, "download", "Writing the file…", () => save(`/results/${app.doc.result}/file?candidate=${app.doc.candidate}`));
  at("save-changed").addEventListener("click", () => void app.trying(() => save(`/results/${app.doc.result}/mask?candidate=${app.doc.candidate}`)));
  at("back").addEventListener("click", () => app.commit({ ...app.doc, result: null, candidate: 0 }));
  once(app, "continue", "Taking it up…", async () => {
    const { result, candidate, detector, inpainter, verify } = app.doc;
    const photo = await post(`/results/${result}/continue?candidate=${candidate}`, {});
    app.commit({ ...EMPTY, detector, inpainter, verify, photo });
  });
  setUpCompare(app, view);
  app.listeners.add(() => render(app, view));
}

/** A button for what takes seconds with a large photo: says so, and is not to be pressed twice. @param {App} app @param {string} id @param {string} saying @param {() => Promise<void>} work */
function once(app, id, saying, work) {
  const button = at(id);
  button.addEventListener("click", async () => {
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    app.say(saying);
    await app.trying(work);
    app.say("");
    button.ariaBusy = "false";
  });
}

/** @param {App} app */
async function run(app) {
  const { photo } = app.doc;
  if (!photo || !app.editing) return;
  app.starting = true;
  app.say("");
  app.changed();
  try {
    const job = await post(`/photos/${photo.id}/jobs`, request(app));
    void preview(app, job.id);
    app.amend({ ...app.doc, job: job.id });
  } finally {
    app.starting = false;
    app.changed();
  }
}

/** A rough filling, to look at until the job is done. @param {App} app @param {string} job */
async function preview(app, job) {
  const { photo } = app.doc;
  const json = app.finder.refinement(app.doc);
  if (!photo || !json || json.replace || app.doc.fill.picture) return;
  try {
    const answer = await call("POST", `/photos/${photo.id}/rough`, { json });
    const box = (answer.headers.get("x-box") ?? "").split(",").map(Number);
    app.rough = { job, box, bitmap: await createImageBitmap(await answer.blob()) };
    app.changed();
  } catch {
    app.rough = null; // the job goes on without
  }
}

/** Follow a job to its end; also one that a reload has left running. @param {App} app @param {string} id */
async function watch(app, id) {
  if (watched.has(id)) return;
  watched.add(id);
  try {
    await followed(app, id);
  } finally {
    watched.delete(id);
  }
}

/** @param {App} app @param {string} id */
async function followed(app, id) {
  let wait = 0;
  for (;;) {
    let job;
    try {
      job = await get(`/jobs/${id}?wait=${wait}`);
    } catch (error) {
      const gone = error instanceof Failure && error.status === 404;
      if (!gone) at("busy-what").textContent = "Waiting for the server";
      if (!gone) await new Promise((resolve) => setTimeout(resolve, 1000));
      if (gone) job = { state: "failed", error: { message: error.message } };
    }
    wait = 10;
    if (app.doc.job !== id) return;
    if (!job) continue;
    showJob(job);
    if (job.sketches) void showSketch(app, job);
    if (job.state === "queued" || job.state === "running") continue;
    const settled = { ...app.doc, job: null };
    app.amend(settled);
    if (job.state === "done") app.commit({ ...settled, result: job.result, candidate: 0 });
    if (job.state === "failed") app.toast(job.error.kind === "ModelMissing" ? NO_MODEL : job.error.message);
    app.say(job.state === "done" ? "Done." : job.state === "cancelled" ? "Cancelled." : "");
    setTimeout(() => ["Done.", "Cancelled."].includes(at("status").textContent ?? "") && app.say(""), 5000);
    return;
  }
}

/** @param {{state: string, place: number, stage: string, share: number}} job */
function showJob({ state, place, stage, share }) {
  const bar = /** @type {HTMLProgressElement} */ (at("busy-share"));
  const what = STAGES[/** @type {keyof typeof STAGES} */ (stage)] ?? (stage && stage[0].toUpperCase() + stage.slice(1));
  at("busy-what").textContent = what || (state === "queued" ? "Waiting" : "Starting…");
  at("busy-place").textContent = place ? `${place} before you` : share > 0 && share < 1 ? `${Math.round(share * 100)} %` : "";
  if (share > 0) bar.value = share;
  else bar.removeAttribute("value");
}

/** What a diffusion model has painted so far. @param {App} app @param {{id: string, sketches: number}} job */
async function showSketch(app, { id, sketches }) {
  const picture = /** @type {HTMLImageElement} */ (at("busy-sketch"));
  const shown = `${id} ${sketches}`;
  if (picture.dataset.shown === shown) return;
  picture.dataset.shown = shown;
  const blob = await call("GET", `/jobs/${id}/sketch`).then((answer) => answer.blob()).catch(() => null);
  if (!blob || app.doc.job !== id) return;
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(blob);
  await picture.decode().catch(() => {});
  picture.hidden = app.doc.job !== id;
}

/** @param {App} app @param {View} view */
function setUpCompare(app, view) {
  const handle = at("compare");
  /** @param {number} divide */
  const move = (divide) => {
    view.divide = Math.min(1, Math.max(0, divide));
    place(handle, view);
    view.redraw();
  };
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    handle.onpointermove = ({ clientX }) => move((clientX - view.canvas.getBoundingClientRect().left) / view.width);
  });
  handle.addEventListener("pointerup", () => (handle.onpointermove = null));
  handle.addEventListener("pointercancel", () => (handle.onpointermove = null));
  handle.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, Home: -1, End: 1 };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (step === undefined) return;
    event.preventDefault();
    move(view.divide + step);
  });
}

/** @param {HTMLElement} handle @param {View} view */
function place(handle, view) {
  handle.style.left = `${view.divide * 100}%`;
  handle.setAttribute("aria-valuenow", String(Math.round(view.divide * 100)));
}

/** @param {App} app @param {View} view */
function render(app, view) {
  const { doc } = app;
  if (doc.job) void watch(app, doc.job);
  at("busy").hidden = !doc.job && !app.starting;
  if (app.starting) showJob({ state: "running", place: 0, stage: "", share: 0 });
  if (!doc.job) at("busy-sketch").hidden = true;
  at("busy-rough").hidden = !doc.job || app.rough?.job !== doc.job;
  at("judging").hidden = !doc.result;
  at("compare").hidden = !doc.result || app.peeking;
  place(at("compare"), view);
  view.after = doc.result && !app.peeking ? { path: `/results/${doc.result}`, query: `?candidate=${doc.candidate}` } : null;
  if (doc.result) void report(app, view, doc.result);
  renderHistory(app);
}

/** @param {App} app @param {View} view @param {string} id */
async function report(app, view, id) {
  if (!reports.has(id)) {
    reports.set(id, null);
    await app.trying(async () => {
      reports.set(id, await get(`/results/${id}`));
    });
    if (!reports.get(id)) return void reports.delete(id);
  }
  const told = reports.get(id);
  if (told && app.doc.result === id) tell(app, view, told);
}

/** @param {App} app @param {View} view @param {any} told */
function tell(app, view, told) {
  const { candidate } = app.doc;
  const one = told.candidates[Math.min(candidate, told.candidates.length - 1)];
  const key = `${told.id} ${candidate}`;
  if (at("judging").dataset.shown === key) return;
  if (!at("judging").dataset.shown?.startsWith(told.id)) {
    const [x0, , x1] = one.box; // begin with half of what was changed
    view.divide = Math.min(0.95, Math.max(0.05, view.toStage((x0 + x1) / 2, 0)[0] / view.width));
    place(at("compare"), view);
    view.redraw();
  }
  at("judging").dataset.shown = key;
  at("verdict").textContent = one.verdict ?? "not checked";
  at("verdict").className = `verdict ${one.verdict ?? ""}`;
  const seen = one.checks.filter((/** @type {any} */ c) => c.failed || c.score >= DOUBT).sort((/** @type {any} */ a, /** @type {any} */ b) => b.score - a.score);
  at("reason").textContent = seen.length || !one.checks.length ? "" : "Nothing left of it, no seam, nothing new: all checks passed.";
  at("checks").replaceChildren(...seen.map((/** @type {any} */ check) => reason(told.id, candidate, check)));
  const tries = told.attempts.length;
  const { detector, inpainter } = one.settings;
  const seconds = Object.values(told.seconds).reduce((/** @type {any} */ a, /** @type {any} */ b) => a + b, 0);
  at("facts").textContent = `${one.changed.toLocaleString()} pixels repainted, ${told.changed_outside} changed elsewhere. ${detector} + ${inpainter}, ${Number(seconds).toFixed(1)} s${tries > 1 ? `, ${tries} attempts` : ""}.`;
  choices(app, told);
}

/** @param {string} id @param {number} candidate @param {any} check */
function reason(id, candidate, check) {
  const line = make("li", { class: check.failed ? "failed" : "doubt" }, check.sentence);
  if (check.picture) {
    const picture = make("img", { alt: `where: ${check.sentence}` });
    void pictureOf(`/results/${id}/checks/${check.name}?candidate=${candidate}`).then((url) => picture.setAttribute("src", url));
    line.append(picture);
  }
  return line;
}

/** @param {App} app @param {any} told */
function choices(app, told) {
  at("choices").hidden = told.candidates.length < 2;
  at("choices").replaceChildren(...told.candidates.map((/** @type {any} */ one, /** @type {number} */ i) => {
    const button = make("button", { role: "radio", "aria-checked": String(i === app.doc.candidate), "aria-label": `Candidate ${i + 1}: ${one.verdict ?? "not checked"}` });
    button.append(thumbnail(`/results/${told.id}/preview?candidate=${i}`), make("span", { class: `verdict ${one.verdict ?? ""}` }, one.verdict ?? String(i + 1)));
    button.addEventListener("click", () => app.commit({ ...app.doc, candidate: i }));
    return button;
  }));
}

/** @param {string} path */
function thumbnail(path) {
  const picture = make("img", { alt: "" });
  void pictureOf(path).then((url) => url && picture.setAttribute("src", url));
  return picture;
}

/** A picture of the server's, which asks for the token too. @param {string} path @returns {Promise<string>} */
function pictureOf(path) {
  const known = pictures.get(path);
  if (known) return known;
  const made = call("GET", path).then((answer) => answer.blob()).then(URL.createObjectURL).catch(() => "");
  pictures.set(path, made);
  const oldest = pictures.keys().next().value;
  if (pictures.size > PICTURES && oldest !== undefined) {
    void pictures.get(oldest)?.then(URL.revokeObjectURL);
    pictures.delete(oldest);
  }
  return made;
}

/** Every result so far, to go back to. @param {App} app */
function renderHistory(app) {
  const steps = new Map();
  app.history.docs.forEach((doc, i) => {
    if (doc.result) steps.set(`${doc.result} ${doc.candidate}`, i);
  });
  at("past").hidden = steps.size < 1;
  const key = JSON.stringify([[...steps], app.doc.result, app.doc.candidate]);
  if (at("history").dataset.shown === key) return;
  at("history").dataset.shown = key;
  at("history").replaceChildren(...[...steps].map(([name, index], i) => {
    const [result, candidate] = name.split(" ");
    const here = result === app.doc.result && Number(candidate) === app.doc.candidate;
    const button = make("button", { "aria-label": `Result ${i + 1}`, ...(here ? { "aria-current": "true" } : {}) });
    button.append(thumbnail(`/results/${result}/preview?candidate=${candidate}`));
    button.addEventListener("click", () => app.commit(app.history.docs[index]));
    return make("li", {}, button);
  }));
}
