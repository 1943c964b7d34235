// @ts-check
/** The list of selections, the hint above it, and the dialogs that add selections. */
import { post } from "./api.js";
import { byId, createElement } from "./app.js";
import { activeSelection, addSelection, canExclude, changeSelection, removeSelection } from "./document_state.js";
import { hue } from "./draw.js";
import { setGranularity } from "./edits.js";
import { text } from "./texts.js";
import { inTouchWords, isTouch } from "./touch_words.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Selection} Selection */

/** @param {App} app */
export function setUpObjectsSection(app) {
  byId("new-object").addEventListener("click", () => {
    app.amend({ ...app.doc, active: 0 });
    app.selectTool("click");
    app.setStatus(text("objects.clickAnother"));
  });
  for (const button of byId("granularity").querySelectorAll("button"))
    button.addEventListener("click", () => setGranularity(app, /** @type {any} */ (button.dataset.granularity)));
  setUpColorOptions(app);
  setUpFindByName(app);
  setUpFindByKind(app);
  byId("show-all").addEventListener("click", () => void app.reportErrors(() => toggleSuggestions(app)));
  setUpFiles(app);
  app.listeners.add(() => render(app));
}

/** @param {App} app */
function setUpColorOptions(app) {
  const tolerance = /** @type {HTMLInputElement} */ (byId("tolerance"));
  tolerance.addEventListener("change", () => changeColor({ tolerance: Number(tolerance.value) }));
  const everywhere = /** @type {HTMLInputElement} */ (byId("everywhere"));
  everywhere.addEventListener("change", () => changeColor({ everywhere: everywhere.checked }));

  /** @param {{tolerance?: number, everywhere?: boolean}} change */
  function changeColor(change) {
    const active = activeSelection(app.doc);
    if (!active?.color) return;
    const color = { ...active.color, ...change };
    app.commit(changeSelection(app.doc, active.id, (s) => ({ ...s, color, strokes: [] })));
  }
}

/** @param {App} app */
function setUpFindByName(app) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("find-dialog"));
  byId("find-by-name").addEventListener("click", () => app.editing && dialog.showModal());
  dialog.addEventListener("close", () => {
    const name = /** @type {HTMLInputElement} */ (byId("object-name")).value.trim();
    if (dialog.returnValue === "yes" && name) app.commit(addSelection(app.doc, "text", { text: name }));
    dialog.returnValue = "";
  });
}

/** @param {App} app */
function setUpFindByKind(app) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("kind-dialog"));
  byId("find-by-kind").addEventListener("click", () => app.editing && dialog.showModal());
  dialog.addEventListener("close", () => {
    const find = /** @type {"text"|"face"} */ (dialog.returnValue);
    if (["text", "face"].includes(find)) app.commit(addSelection(app.doc, "find", { find }));
    dialog.returnValue = "";
  });
}

/** Show all objects of the photo to choose from, or hide them. @param {App} app */
async function toggleSuggestions(app) {
  if (!app.editing) return;
  if (app.suggestions) {
    app.suggestions = null;
    return app.notify();
  }
  app.setStatus(text("objects.searchingAll"));
  const body = { prompts: [{ everything: [] }] };
  const photo = app.doc.photo?.id;
  const { objects } = await post(`/photos/${photo}/find`, body);
  if (photo !== app.doc.photo?.id) return;
  app.suggestions = { prompt: "everything", objects };
  app.notify();
}

/** Masks and clean plates from files. @param {App} app */
function setUpFiles(app) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("file-dialog"));
  const input = /** @type {HTMLInputElement} */ (byId("file-mask-or-plate"));
  byId("use-file").addEventListener("click", () => app.editing && dialog.showModal());
  dialog.addEventListener("close", () => {
    if (!["mask", "plate"].includes(dialog.returnValue)) return;
    input.dataset.kind = dialog.returnValue;
    input.click();
  });
  input.addEventListener("change", () => void app.reportErrors(async () => {
    const kind = /** @type {"mask"|"plate"} */ (input.dataset.kind);
    const file = await app.uploadChosenFile(input, kind);
    if (file) app.commit(addSelection(app.doc, kind, { file: file.id, name: file.name }));
  }));
}

// --- hints -----------------------------------------------------------------------------------

/** Whether the document says what to paint. @param {Doc} doc */
export const isComplete = (doc) => Boolean(doc.mode === "remove" || doc.fill.prompt || doc.fill.picture);

/** The next step for the user. @param {App} app */
export function hint(app) {
  if (app.tool === "erase") return firstHint(app.tool);
  const { pending, failed, ready } = app.searchState;
  if (app.suggestions) return text("hint.suggestions");
  if (!app.doc.selections.length) return firstHint(app.tool);
  if (pending) return text("objects.searching");
  if (failed && !ready)
    return failed.canRetry || !foundNothing(failed) ? inTouchWords(failed.message) : text("hint.notFound");
  if (!isComplete(app.doc)) return text("hint.fill");
  return text("hint.correct", { exclude: excludeHint(app), button: text(app.doc.mode === "remove" ? "fill.remove" : "fill.replace") });
}

/** The hint while nothing is selected. @param {import("./app.js").Tool} tool */
const firstHint = (tool) => text(tool === "click" && isTouch ? "firstHint.tap" : `firstHint.${tool}`);

/** @param {import("./objects.js").Answer} answer */
const foundNothing = ({ message }) => message.includes("nothing");

/** @param {App} app */
function excludeHint(app) {
  const active = activeSelection(app.doc);
  if (active && !canExclude(active)) return text("hint.paintOver");
  return text(isTouch ? "hint.tapExclude" : "hint.rightClick");
}

// --- rendering -------------------------------------------------------------------------------

/** @param {App} app */
function render(app) {
  const { doc } = app;
  byId("objects").replaceChildren(...doc.selections.map((selection, i) => selectionRow(app, selection, i + 1)));
  byId("hint").textContent = hint(app);
  const active = activeSelection(doc);
  byId("granularity").hidden = active?.kind !== "click";
  for (const button of byId("granularity").querySelectorAll("button"))
    button.setAttribute("aria-checked", String(button.dataset.granularity === active?.granularity));
  byId("color-options").hidden = !active?.color;
  if (!active?.color) return;
  const { tolerance, everywhere } = active.color;
  byId("tolerance-out").textContent = tolerance === null ? text("mask.auto") : String(tolerance);
  if (tolerance !== null) /** @type {HTMLInputElement} */ (byId("tolerance")).value = String(tolerance);
  /** @type {HTMLInputElement} */ (byId("everywhere")).checked = everywhere;
}

/** @param {App} app @param {Selection} selection @param {number} number */
function selectionRow(app, selection, number) {
  const answer = app.finder.answerFor(app.doc, selection);
  const swatch = createElement("span", { class: "swatch" });
  swatch.style.background = `hsl(${hue(selection.id)} 80% 50%)`;
  const note = createElement("span", { class: answer.state === "failed" ? "bad quiet" : "quiet" }, selectionNote(selection, answer));
  const button = createElement("button", { class: "name", title: answer.message }, swatch, text("objects.row", { number, kind: text(`kind.${selection.kind}`) }), note);
  button.addEventListener("click", () => (answer.canRetry ? app.finder.retry() : app.amend({ ...app.doc, active: selection.id })));
  const remove = createElement("button", { class: "icon small", "aria-label": text("objects.remove", { number }), title: text("objects.removeTitle") });
  remove.append(crossIcon());
  remove.addEventListener("click", () => app.commit(removeSelection(app.doc, selection.id)));
  const protect = createElement("button", { class: "small protect", "aria-pressed": String(Boolean(selection.protect)), title: text("objects.protectTitle") }, text("objects.protect"));
  protect.addEventListener("click", () => app.commit({
    ...changeSelection(app.doc, selection.id, (s) => ({ ...s, protect: !s.protect })),
    active: selection.protect ? selection.id : 0,
  }));
  return createElement("li", selection.id === app.doc.active ? { class: "active" } : {}, button, protect, remove);
}

function crossIcon() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#i-close");
  svg.append(use);
  return svg;
}

/** @param {Selection} selection @param {import("./objects.js").Answer} answer */
function selectionNote(selection, answer) {
  if (answer.state === "pending") return text("objects.looking");
  if (answer.state === "failed") return text(answer.canRetry ? "objects.tryAgain" : foundNothing(answer) ? "objects.nothingFound" : "objects.seeWhy");
  const count = answer.objects.length;
  if (selection.kind === "find") return text(selection.find === "text" ? "objects.linesOfText" : "objects.faces", { count });
  if (selection.kind === "text") return text("objects.named", { name: selection.text ?? "", count });
  if (selection.name) return selection.name;
  return selection.strokes.length && selection.kind !== "brush" ? text("objects.corrected") : "";
}
