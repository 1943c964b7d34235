// @ts-check
/** The panel of settings as a whole: its sections, the run button and the capabilities. */
import { get } from "./api.js";
import { byId, createElement } from "./app.js";
import { setUpFillSection } from "./fill_section.js";
import { setUpMaskSection } from "./mask_section.js";
import { hint, isComplete, setUpObjectsSection } from "./objects_section.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */

const EDITING_SECTIONS = ["objects-section", "mask-section", "fill-section"];
const OTHER_PROMPT_DETECTORS = ["mask", "plate", "color"]; // clicks and boxes cannot use them

/** @param {App} app */
export function setUpPanel(app) {
  setUpObjectsSection(app);
  setUpMaskSection(app);
  setUpFillSection(app);
  app.listeners.add(() => render(app));
}

/** Ask the server what it can do, and fill the lists of models and formats. @param {App} app */
export async function loadCapabilities(app) {
  app.capabilities = await get("/about");
  const { detectors, inpainters, formats, limits } = app.capabilities;
  setOptions("detector", detectors.filter((/** @type {string} */ name) => !OTHER_PROMPT_DETECTORS.includes(name)));
  setOptions("inpainter", inpainters);
  const names = formats.map((/** @type {string} */ format) => (format === "WEBP" ? "WebP" : format));
  byId("formats").textContent = text("opening.formats", { formats: names.join(", "), megapixels: Math.round(limits.pixels / 1e6) });
  app.notify();
}

/** @param {string} id @param {string[]} values */
function setOptions(id, values) {
  byId(id).replaceChildren(...values.map((value) => createElement("option", {}, value)));
}

let showedResult = false;

/** @param {App} app */
function render(app) {
  const { doc } = app;
  const showsResult = Boolean(doc.result) || app.erasesResult;
  byId("panel").hidden = !doc.photo;
  if (showsResult !== showedResult) byId("panel").scrollTop = 0;
  showedResult = showsResult;
  for (const id of EDITING_SECTIONS) {
    byId(id).hidden = !doc.photo || showsResult;
    byId(id).inert = Boolean(doc.job) || app.isStarting;
  }
  renderRunButton(app);
  const { ready } = app.searchState;
  for (const id of ["save-mask", "copy-command", "save-request"]) /** @type {HTMLButtonElement} */ (byId(id)).disabled = !ready;
}

/** @param {App} app */
function renderRunButton(app) {
  const { doc, editing } = app;
  const run = /** @type {HTMLButtonElement} */ (byId("run"));
  run.disabled = !editing || !app.searchState.ready || !isComplete(doc);
  run.title = !editing ? "" : run.disabled ? hint(app) : text("fill.runTitle");
  run.textContent = text(doc.mode === "remove" ? "fill.remove" : "fill.replace");
  run.parentElement?.toggleAttribute("hidden", Boolean(doc.result) || app.erasesResult);
}
