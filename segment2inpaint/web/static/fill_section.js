// @ts-check
/** The settings of what to paint, of the models and of the check. */
import { byId } from "./app.js";
import { UNMOVED } from "./document_state.js";
import { copyCommand, saveRequest } from "./request_export.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./document_state.js").Doc} Doc */

/** @param {App} app */
export function setUpFillSection(app) {
  for (const button of byId("fill-section").querySelectorAll("[data-mode]"))
    button.addEventListener("click", () => {
      const mode = /** @type {"remove"|"replace"} */ (/** @type {HTMLElement} */ (button).dataset.mode);
      app.commit({ ...app.doc, mode });
    });
  setUpFields(app);
  setUpPrompt(app, /** @type {HTMLInputElement} */ (byId("prompt")));
  setUpPicture(app);
  for (const id of ["get-model", "get-text-model"]) byId(id).addEventListener("click", () => byId("show-models").click());
  for (const id of ["copy-command", "copy-command-2"])
    byId(id).addEventListener("click", () => void app.reportErrors(() => copyCommand(app)));
  for (const id of ["save-request", "save-request-2"])
    byId(id).addEventListener("click", () => void app.reportErrors(() => saveRequest(app)));
  app.listeners.add(() => render(app));
}

/** @param {App} app */
function setUpFields(app) {
  /** @type {Record<string, (value: string) => Partial<Doc["fill"]>>} */
  const fillFields = {
    "negative-prompt": (negative_prompt) => ({ negative_prompt }),
    steps: (value) => ({ num_inference_steps: toNumber(value) }),
    guidance: (value) => ({ guidance_scale: toNumber(value) }),
    strength: (value) => ({ strength: toNumber(value) }),
    seed: (value) => ({ seed: Math.max(0, Math.floor(Number(value) || 0)) }),
    candidates: (value) => ({ candidates: Number(value) }),
  };
  for (const [id, change] of Object.entries(fillFields))
    byId(id).addEventListener("change", (event) => changeFill(app, change(/** @type {HTMLInputElement} */ (event.target).value)));
  for (const id of ["detector", "inpainter"])
    byId(id).addEventListener("change", (event) =>
      app.commit({ ...app.doc, [id]: /** @type {HTMLSelectElement} */ (event.target).value }));
  byId("verify").addEventListener("change", (event) =>
    app.commit({ ...app.doc, verify: /** @type {HTMLInputElement} */ (event.target).checked }));
}

/** @param {App} app @param {Partial<Doc["fill"]>} change */
function changeFill(app, change) {
  app.commit({ ...app.doc, fill: { ...app.doc.fill, ...change } });
}

/** @param {string} value */
const toNumber = (value) => (value.trim() === "" || Number.isNaN(Number(value)) ? null : Number(value));

/** The run button follows the typing; the whole prompt is one step to undo. @param {App} app @param {HTMLInputElement} field */
function setUpPrompt(app, field) {
  let typing = false;
  field.addEventListener("focus", () => (typing = false));
  field.addEventListener("input", () => {
    const doc = { ...app.doc, fill: { ...app.doc.fill, prompt: field.value } };
    if (typing) app.amend(doc);
    else app.commit(doc);
    typing = true;
  });
  field.addEventListener("keydown", ({ key, isComposing }) => {
    if (key === "Enter" && !isComposing) byId("run").click();
  });
}

/** @param {App} app */
function setUpPicture(app) {
  const input = /** @type {HTMLInputElement} */ (byId("file-picture"));
  byId("choose-picture").addEventListener("click", () => input.click());
  input.addEventListener("change", () => void app.reportErrors(async () => {
    const picture = await app.uploadChosenFile(input, "picture");
    if (picture) changeFill(app, { picture, placement: UNMOVED, cutout: false });
  }));
  byId("clear-picture").addEventListener("click", () => changeFill(app, { picture: null }));
}

/** Whether a dropped file is the picture to insert. @param {App} app */
export const takesPicture = (app) => app.editing && app.doc.mode === "replace" && app.doc.selections.length > 0;

/** Insert a dropped picture. @param {App} app @param {File} file */
export const insertPicture = (app, file) => app.reportErrors(async () =>
  changeFill(app, { picture: await app.uploadFile(file, "picture"), placement: UNMOVED, cutout: false }));

/** @param {App} app */
function render(app) {
  const { doc, capabilities } = app;
  for (const button of byId("fill-section").querySelectorAll("[data-mode]"))
    button.setAttribute("aria-checked", String(/** @type {HTMLElement} */ (button).dataset.mode === doc.mode));
  byId("replace-options").hidden = doc.mode !== "replace";
  byId("no-model").hidden = !capabilities || capabilities.generates;
  byId("no-text-model").hidden = !capabilities || capabilities.reads;
  /** @type {HTMLButtonElement} */ (byId("find-submit")).disabled = capabilities?.reads === false;
  byId("picture-name").textContent = doc.fill.picture?.name ?? text("fill.noPicture");
  byId("clear-picture").hidden = !doc.fill.picture;
  byId("diffusion-options").hidden = !capabilities?.generates;
  renderFields(doc);
  /** @type {HTMLInputElement} */ (byId("verify")).checked = doc.verify;
}

/** Set the fields, except one in which the user is typing. @param {Doc} doc */
function renderFields({ fill, detector, inpainter }) {
  const values = {
    prompt: fill.prompt, "negative-prompt": fill.negative_prompt, steps: fill.num_inference_steps ?? "",
    guidance: fill.guidance_scale ?? "", strength: fill.strength ?? "", seed: fill.seed,
    candidates: fill.candidates, detector, inpainter,
  };
  for (const [id, value] of Object.entries(values)) {
    const field = /** @type {HTMLInputElement} */ (byId(id));
    if (document.activeElement !== field) field.value = String(value);
  }
}
