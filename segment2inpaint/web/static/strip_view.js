// @ts-check
/** The strip of thumbnails, its keys and its buttons. */
import { download } from "./api.js";
import { byId, createElement } from "./app.js";
import { isComplete } from "./objects_section.js";
import { errorOf } from "./strip.js";
import { cancelRun, runAll } from "./strip_run.js";
import { text } from "./texts.js";
import { drawThumbnail } from "./thumbnails.js";
import { markOf } from "./verdict_marks.js";

/** @typedef {import("./strip.js").Entry} Entry */
/** @typedef {import("./strip.js").Strip} Strip */

const KEY_STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity };
const PAGE_STEPS = { PageUp: -1, PageDown: 1 };
const [WIDTH, HEIGHT] = [144, 108]; // px of a thumbnail, for a screen of two pixels per CSS pixel

/** @type {Map<Entry, HTMLElement>} */
const items = new Map();

/** @param {Strip} strip */
export function setUpStrip(strip) {
  const { app } = strip;
  byId("run-all").addEventListener("click", () => strip.run || void app.reportErrors(() => runAll(strip)));
  byId("cancel-all").addEventListener("click", () => void app.reportErrors(() => cancelRun(strip)));
  byId("download-all").addEventListener("click", () => void app.reportErrors(() => downloadAll(strip)));
  byId("remove-photo").addEventListener("click", () => void strip.remove(strip.requested ?? strip.shown ?? strip.entries[0]));
  byId("strip-photos").addEventListener("keydown", (event) => onKey(strip, event));
  addEventListener("keydown", (event) => onPageKey(strip, event));
  app.listeners.add(() => render(strip));
}

/** The arrow keys go to another thumbnail, Delete takes the photo out. @param {Strip} strip @param {KeyboardEvent} event */
function onKey(strip, event) {
  const index = strip.entries.findIndex((entry) => items.get(entry) === document.activeElement);
  const step = KEY_STEPS[/** @type {keyof typeof KEY_STEPS} */ (event.key)];
  if (index < 0 || (step === undefined && event.key !== "Delete")) return;
  event.preventDefault();
  if (step !== undefined) return goTo(strip, index + step);
  items.get(strip.entries[index + 1] ?? strip.entries[index - 1])?.focus();
  void strip.remove(strip.entries[index]);
}

/** @param {Strip} strip @param {KeyboardEvent} event */
function onPageKey(strip, event) {
  const step = PAGE_STEPS[/** @type {keyof typeof PAGE_STEPS} */ (event.key)];
  if (!step || !strip.isOpen || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  const from = strip.requested ?? strip.shown;
  const entry = strip.entries[(from ? strip.entries.indexOf(from) : -1) + step];
  if (entry) void strip.show(entry, { byKey: true });
}

/** @param {Strip} strip @param {number} index */
function goTo(strip, index) {
  const entry = strip.entries[Math.min(strip.entries.length - 1, Math.max(0, index))];
  if (!entry) return;
  items.get(entry)?.focus();
  void strip.show(entry, { byKey: true });
}

/** Download the results as one zip. @param {Strip} strip */
async function downloadAll(strip) {
  const button = byId("download-all");
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  try {
    const lost = await strip.dropLostResults();
    const results = resultsOf(strip);
    if (lost) strip.app.toast(text("strip.droppedResults", { count: lost }));
    if (results.length) await download("/results/zip", { results });
  } finally {
    button.ariaBusy = "false";
  }
}

/** @param {Strip} strip */
const resultsOf = ({ entries }) => entries.flatMap(({ history: { doc } }) => (doc.result ? [{ result: doc.result, candidate: doc.candidate }] : []));

// --- rendering -------------------------------------------------------------------------------

/** @param {Strip} strip */
function render(strip) {
  byId("strip").hidden = !strip.isOpen;
  renderItems(strip);
  renderButtons(strip);
  renderProgress(strip);
  renderNote(strip);
}

/** What became of the photos, and why some failed. @param {Strip} strip */
function renderNote({ app, entries, note, run }) {
  const marks = entries.map((entry) => markOf(app, entry).mark);
  const done = entries.filter(({ history }) => history.doc.result).length;
  const verdicts = verdictCounts(marks);
  const count = entries.length;
  const summary = done && !run ? text(verdicts ? "strip.summaryWithVerdicts" : "strip.summary", { done, count, verdicts }) : "";
  const errors = entries.filter(errorOf).map(({ name, error }) => (error.startsWith(name) ? error : text("strip.photoError", { name, error })));
  const lines = [[note, summary].filter(Boolean).join(" "), ...errors].filter(Boolean).join("\n");
  if (byId("strip-note").textContent !== lines) byId("strip-note").textContent = lines;
}

/** How many photos have each verdict, as text. @param {string[]} marks */
function verdictCounts(marks) {
  const verdicts = ["clean", "doubtful", "failed"].filter((verdict) => marks.includes(verdict));
  return verdicts.map((verdict) => `${marks.filter((mark) => mark === verdict).length} ${text(`verdict.${verdict}`)}`).join(", ");
}

/** @param {Strip} strip */
function renderItems(strip) {
  for (const [entry, item] of items) if (!strip.entries.includes(entry)) items.delete(entry), item.remove();
  const current = strip.requested ?? strip.shown ?? strip.entries[0];
  for (const entry of strip.entries) {
    const item = items.get(entry) ?? createItem(strip, entry);
    const { mark, words } = markOf(strip.app, entry);
    const isCurrent = entry === current;
    if (isCurrent && item.ariaSelected !== "true") item.scrollIntoView({ block: "nearest", inline: "nearest" });
    item.ariaSelected = String(entry === strip.shown);
    item.tabIndex = isCurrent ? 0 : -1;
    item.ariaBusy = String(entry === strip.requested || entry.state === "running");
    item.dataset.mark = mark;
    item.title = item.ariaLabel = words ? text("strip.photo", { name: entry.name, mark: words }) : entry.name;
    drawThumbnail(entry, /** @type {HTMLCanvasElement} */ (item.firstChild));
  }
}

/** @param {Strip} strip @param {Entry} entry */
function createItem(strip, entry) {
  const canvas = createElement("canvas", { width: String(WIDTH), height: String(HEIGHT), "aria-hidden": "true" });
  const item = createElement("li", { role: "option" }, canvas, createElement("span", {}, entry.name));
  item.addEventListener("click", () => void strip.show(entry));
  items.set(entry, item);
  byId("strip-photos").append(item);
  return item;
}

/** @param {Strip} strip */
function renderButtons({ app, entries, run, source }) {
  const isReady = app.doc.selections.length ? app.searchState.ready && isComplete(app.doc) : source || entries.some(({ history }) => history.doc.selections.length);
  const runButton = /** @type {HTMLButtonElement} */ (byId("run-all"));
  runButton.hidden = run !== null;
  runButton.disabled = !isReady || Boolean(app.doc.job) || app.isStarting;
  runButton.textContent = text(app.doc.mode === "remove" ? "strip.removeInAllCount" : "strip.replaceInAllCount", { count: entries.length });
  const count = entries.filter(({ history }) => history.doc.result).length;
  const downloadButton = /** @type {HTMLButtonElement} */ (byId("download-all"));
  downloadButton.hidden = !count || run !== null;
  downloadButton.textContent = text("strip.downloadAllCount", { count });
  /** @type {HTMLButtonElement} */ (byId("remove-photo")).disabled = run !== null;
}

/** @param {Strip} strip */
function renderProgress({ run }) {
  byId("strip-progress").hidden = !run;
  if (!run) return;
  byId("strip-count").textContent = run.cancelled ? text("busy.stopping") : text("strip.position", { number: Math.min(run.done + 1, run.total), total: run.total });
  const bar = /** @type {HTMLProgressElement} */ (byId("strip-bar"));
  bar.max = run.total;
  bar.value = run.done + run.share;
}
