// @ts-check
/** The list of selections, the hint above it, and the dialogs that add selections. */
import { post } from "./api.js";
import { byId, createElement } from "./app.js";
import { activeSelection, addSelection, canExclude, changeSelection, removeSelection } from "./document_state.js";
import { hue } from "./draw.js";
import { setGranularity } from "./edits.js";
import { inTouchWords, isTouch } from "./touch_words.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Selection} Selection */

const KIND_NAMES = {
  click: "Click", box: "Box", color: "Colour", text: "Name", everything: "From all", find: "All",
  plate: "Clean plate", mask: "Mask file", brush: "Brush",
};

/** @param {App} app */
export function setUpObjectsSection(app) {
  byId("new-object").addEventListener("click", () => {
    app.amend({ ...app.doc, active: 0 });
    app.selectTool("click");
    app.setStatus("Click another object.");
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
    const text = /** @type {HTMLInputElement} */ (byId("object-name")).value.trim();
    if (dialog.returnValue === "yes" && text) app.commit(addSelection(app.doc, "text", { text }));
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
  app.setStatus("Looking for all objects…");
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

const FIRST_HINTS = {
  click: isTouch ? "Tap the object in the photo." : "Click the object in the photo, or drag a box around it.",
  exclude: "Click the object first; then click the parts that do not belong to it with this tool.",
  box: "Drag a box around the object.",
  brush: "Paint over the object.",
  erase: "Paint over something, or click it. It is removed at once.",
  subtract: "Nothing to subtract from yet: click the object first.",
  color: "Click a colour to select the area that has it.",
  hand: "Drag the photo to move it.",
};

/** Whether the document says what to paint. @param {Doc} doc */
export const isComplete = (doc) => Boolean(doc.mode === "remove" || doc.fill.prompt || doc.fill.picture);

/** The next step for the user. @param {App} app */
export const hint = (app) => inTouchWords(nextStep(app));

/** @param {App} app */
function nextStep(app) {
  if (app.tool === "erase") return FIRST_HINTS.erase;
  const { pending, failed, ready } = app.searchState;
  if (app.suggestions) return "Click all the objects that you want. Choose any tool to finish.";
  if (!app.doc.selections.length) return FIRST_HINTS[app.tool];
  if (pending) return "Looking for the object…";
  if (failed && !ready)
    return failed.canRetry || !foundNothing(failed) ? failed.message : "No object was found there. Undo, then click elsewhere, drag a box, or paint over the object.";
  if (!isComplete(app.doc)) return "Say below what to put there, or choose a picture.";
  return `Too little? Click the rest. Too much? ${excludeHint(app)}. Then press ${app.doc.mode === "remove" ? "Remove" : "Replace"}.`;
}

/** @param {import("./objects.js").Answer} answer */
const foundNothing = ({ message }) => message.includes("nothing");

/** @param {App} app */
function excludeHint(app) {
  const active = activeSelection(app.doc);
  if (active && !canExclude(active)) return "Paint over it with Subtract";
  return isTouch ? "Tap it with Not this" : "Right-click it";
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
  byId("tolerance-out").textContent = tolerance === null ? "auto" : String(tolerance);
  if (tolerance !== null) /** @type {HTMLInputElement} */ (byId("tolerance")).value = String(tolerance);
  /** @type {HTMLInputElement} */ (byId("everywhere")).checked = everywhere;
}

/** @param {App} app @param {Selection} selection @param {number} number */
function selectionRow(app, selection, number) {
  const answer = app.finder.answerFor(app.doc, selection);
  const swatch = createElement("span", { class: "swatch" });
  swatch.style.background = `hsl(${hue(selection.id)} 80% 50%)`;
  const note = createElement("span", { class: answer.state === "failed" ? "bad quiet" : "quiet" }, selectionNote(selection, answer));
  const button = createElement("button", { class: "name", title: answer.message }, swatch, `${number} ${inTouchWords(KIND_NAMES[selection.kind])}`, note);
  button.addEventListener("click", () => (answer.canRetry ? app.finder.retry() : app.amend({ ...app.doc, active: selection.id })));
  const remove = createElement("button", { class: "icon small", "aria-label": `Remove object ${number} from the list`, title: "Remove from the list (Del)" });
  remove.append(crossIcon());
  remove.addEventListener("click", () => app.commit(removeSelection(app.doc, selection.id)));
  const protect = createElement("button", { class: "small protect", "aria-pressed": String(Boolean(selection.protect)), title: "Nothing in it may change" }, "Protect");
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
  if (answer.state === "pending") return "looking…";
  if (answer.state === "failed") return answer.canRetry ? "try again" : foundNothing(answer) ? "nothing found" : "see why";
  if (selection.kind === "find") return `${selection.find === "text" ? "lines of text" : "faces"}, ${answer.objects.length}`;
  if (selection.kind === "text") return `“${selection.text}”, ${answer.objects.length}`;
  if (selection.name) return selection.name;
  return selection.strokes.length && selection.kind !== "brush" ? "corrected" : "";
}
