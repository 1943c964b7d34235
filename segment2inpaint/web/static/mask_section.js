// @ts-check
/** The settings that refine the mask. */
import { call, saveAs } from "./api.js";
import { byId } from "./app.js";
import { currentRequest, photoStem } from "./request_export.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */

const RADII = /** @type {const} */ (["dilate", "feather"]);
const CHECKBOXES = /** @type {const} */ ({ "fill-holes": "fill_holes", "edge-refine": "edge_refine", invert: "invert" });

/** @param {App} app */
export function setUpMaskSection(app) {
  for (const name of RADII) setUpRadius(app, name);
  for (const [id, key] of Object.entries(CHECKBOXES))
    byId(id).addEventListener("change", (event) =>
      changeRefine(app, { [key]: /** @type {HTMLInputElement} */ (event.target).checked }));
  byId("shadow").addEventListener("change", (event) => {
    const value = /** @type {HTMLSelectElement} */ (event.target).value;
    changeRefine(app, { shadow: value === "" ? null : value === "true" });
  });
  byId("save-mask").addEventListener("click", () => void app.reportErrors(() => saveMask(app)));
  app.listeners.add(() => render(app));
}

/** A slider; a whole drag is one step to undo. @param {App} app @param {"dilate"|"feather"} name */
function setUpRadius(app, name) {
  const slider = /** @type {HTMLInputElement} */ (byId(name));
  let dragging = false;
  slider.addEventListener("input", () => {
    const doc = { ...app.doc, refine: { ...app.doc.refine, [name]: `${slider.value}px` } };
    if (dragging) app.amend(doc);
    else app.commit(doc);
    dragging = true;
  });
  slider.addEventListener("change", () => (dragging = false));
  byId(`${name}-out`).addEventListener("dblclick", () => changeRefine(app, { [name]: "auto" }));
}

/** @param {App} app @param {Partial<import("./document_state.js").Doc["refine"]>} change */
function changeRefine(app, change) {
  app.commit({ ...app.doc, refine: { ...app.doc.refine, ...change } });
}

/** @param {App} app */
async function saveMask(app) {
  const { photo, refine } = app.doc;
  const response = await call("POST", `/photos/${photo?.id}/mask`, { json: { ...currentRequest(app), refine } });
  saveAs(await response.blob(), `${photoStem(app)}_mask.png`);
}

/** @param {App} app */
function render(app) {
  const { refine } = app.doc;
  const outline = app.searchState.ready ? app.finder.lastOutline?.outline : undefined;
  for (const name of RADII) {
    const slider = /** @type {HTMLInputElement} */ (byId(name));
    const isAuto = refine[name] === "auto";
    const value = isAuto ? outline?.[name] : Number.parseFloat(refine[name]);
    if (value !== undefined && document.activeElement !== slider) slider.value = String(Math.round(value));
    const autoText = outline ? text("mask.autoPixels", { pixels: Math.round(outline[name]) }) : text("mask.auto");
    byId(`${name}-out`).textContent = isAuto ? autoText : text("unit.pixels", { value: refine[name].replace("px", "") });
  }
  for (const [id, key] of Object.entries(CHECKBOXES)) /** @type {HTMLInputElement} */ (byId(id)).checked = refine[key];
  /** @type {HTMLSelectElement} */ (byId("shadow")).value = refine.shadow === null ? "" : String(refine.shadow);
}
