// @ts-check
/** The dialog with the model catalogue, and downloads that the user confirms. */
import { get, post } from "./api.js";
import { byId, createElement } from "./app.js";
import { loadCapabilities } from "./panel.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {{name: string, title: string, kind: string, licence: string, gated: boolean, size: number, page: string, here: boolean}} Model */

const HINT_KEY = "segment2inpaint-model-hint"; // of the local storage: the hint was shown

/** @param {App} app */
export function setUpModels(app) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("models"));
  byId("show-models").addEventListener("click", () => void app.reportErrors(async () => {
    await renderList(app);
    dialog.showModal();
  }));
  setUpHint(app);
}

/** Say once in a browser, at its first result, that models exist. @param {App} app */
function setUpHint(app) {
  let hinted = ""; // id of the result that the hint is shown at
  byId("see-models").addEventListener("click", () => byId("show-models").click());
  app.listeners.add(() => {
    const { result } = app.doc;
    if (result && app.capabilities?.generates === false && !localStorage.getItem(HINT_KEY)) {
      hinted = result;
      localStorage.setItem(HINT_KEY, "shown");
    }
    byId("model-hint").hidden = !result || result !== hinted;
  });
}

/** @param {App} app */
async function renderList(app) {
  /** @type {Model[]} */
  const models = await get("/models");
  models.sort((a, b) => Number(b.here) - Number(a.here) || a.kind.localeCompare(b.kind) || a.size - b.size);
  byId("model-list").replaceChildren(...models.map((model) => modelRow(app, model)));
}

/** @param {number} bytes */
const formatSize = (bytes) =>
  bytes >= 1e9 ? text("models.gigabytes", { size: (bytes / 1e9).toFixed(1) }) : text("models.megabytes", { size: Math.round(bytes / 1e6) });

/** @param {App} app @param {Model} model */
function modelRow(app, model) {
  const { name, kind, licence, size } = model;
  const description = text("models.description", { name, kind, licence, size: formatSize(size) });
  const installed = createElement("span", { class: "quiet" }, text("models.isInstalled"));
  const button = createElement("button", { class: "small" }, text("models.choose"));
  const row = createElement("li", {}, createElement("b", {}, model.title), model.here ? installed : button, createElement("span", { class: "quiet" }, description));
  button.addEventListener("click", () => {
    button.hidden = true;
    row.append(confirmation(app, model, () => (button.hidden = false)));
  });
  return row;
}

/** @param {App} app @param {Model} model @param {() => void} onRefuse */
function confirmation(app, model, onRefuse) {
  const size = formatSize(model.size);
  const box = createElement("div", { class: "sure" });
  const question = [text("models.question", { size, licence: model.licence }), ...(model.gated ? [text("models.gated")] : [])];
  const page = createElement("a", { href: model.page, target: "_blank", rel: "noreferrer" }, text("models.page"));
  const yes = createElement("button", { class: "primary" }, text("models.download", { size }));
  const no = createElement("button", {}, text("models.refuse"));
  no.addEventListener("click", () => (box.remove(), onRefuse()));
  yes.addEventListener("click", () => void app.reportErrors(() => downloadModel(app, model, box)));
  box.append(createElement("p", {}, `${question.join(" ")} `, page), createElement("div", { class: "row end" }, no, yes));
  return box;
}

/** Download a model and show the progress in `box`. @param {App} app @param {Model} model @param {HTMLElement} box */
async function downloadModel(app, model, box) {
  let job = await post(`/models/${model.name}/download`, { licence: model.licence });
  const bar = /** @type {HTMLProgressElement} */ (createElement("progress", { max: "1", "aria-label": text("models.progressOf", { title: model.title }) }));
  const line = createElement("p", { class: "quiet" }, text("models.starting"));
  box.replaceChildren(bar, line);
  while (job.state === "queued" || job.state === "running") {
    job = await get(`/jobs/${job.id}?wait=5`);
    bar.value = job.share;
    line.textContent = text("models.progress", { stage: job.stage || text("models.waiting"), percent: Math.round(job.share * 100) });
  }
  line.textContent = job.state === "done" ? text("models.done") : job.error?.message ?? job.state;
  if (job.state === "done") await loadCapabilities(app);
}
