// @ts-check
/** The models of the catalogue: which are here, and fetching one on an explicit word. */
import { get, post } from "./api.js";
import { at, make } from "./app.js";
import { about } from "./panel.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {{name: string, title: string, kind: string, licence: string, gated: boolean, size: number, page: string, here: boolean}} Model */

/** @param {App} app */
export function setUpModels(app) {
  const dialog = /** @type {HTMLDialogElement} */ (at("models"));
  at("show-models").addEventListener("click", () => void app.trying(async () => {
    await list(app);
    dialog.showModal();
  }));
}

/** @param {App} app */
async function list(app) {
  /** @type {Model[]} */
  const models = await get("/models");
  models.sort((a, b) => Number(b.here) - Number(a.here) || a.kind.localeCompare(b.kind) || a.size - b.size);
  at("model-list").replaceChildren(...models.map((model) => row(app, model)));
}

/** @param {number} bytes */
const size = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`);

/** @param {App} app @param {Model} model */
function row(app, model) {
  const what = model.kind === "detector" ? "finds" : "paints";
  const about = `${what}, ${size(model.size)}, licence ${model.licence}`;
  const state = make("span", { class: "quiet" }, "on this machine");
  const button = make("button", { class: "small" }, "Get…");
  const line = make("li", {}, make("b", {}, model.title), model.here ? state : button, make("span", { class: "quiet" }, `${model.name}: ${about}`));
  button.addEventListener("click", () => {
    button.hidden = true;
    line.append(confirm(app, model, () => (button.hidden = false)));
  });
  return line;
}

/** @param {App} app @param {Model} model @param {() => void} not */
function confirm(app, model, not) {
  const gate = model.gated ? " Its licence has to be accepted on its page first." : "";
  const sure = make("div", { class: "sure" });
  const text = make("p", {}, `Fetch ${size(model.size)} from huggingface.co? The licence is ${model.licence}.${gate} `);
  text.append(make("a", { href: model.page, target: "_blank", rel: "noreferrer" }, "Its page"));
  const yes = make("button", { class: "primary" }, `Download ${size(model.size)}`);
  const no = make("button", {}, "Not now");
  no.addEventListener("click", () => (sure.remove(), not()));
  yes.addEventListener("click", () => void app.trying(() => fetching(app, model, sure)));
  sure.append(text, make("div", { class: "row end" }, no, yes));
  return sure;
}

/** @param {App} app @param {Model} model @param {HTMLElement} where */
async function fetching(app, model, where) {
  let job = await post(`/models/${model.name}/download`, { licence: model.licence });
  const bar = /** @type {HTMLProgressElement} */ (make("progress", { max: "1", "aria-label": `Download of ${model.title}` }));
  const text = make("p", { class: "quiet" }, "Starting…");
  where.replaceChildren(bar, text);
  while (job.state === "queued" || job.state === "running") {
    job = await get(`/jobs/${job.id}?wait=5`);
    bar.value = job.share;
    text.textContent = `${job.stage || "Waiting"} ${Math.round(job.share * 100)} %`;
  }
  text.textContent = job.state === "done" ? "It is here." : job.error?.message ?? job.state;
  if (job.state === "done") await about(app);
}
