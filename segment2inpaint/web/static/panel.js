// @ts-check
/** The settings beside the photo: objects, mask, fill. */
import { get, post, save, saveAs, send } from "./api.js";
import { at, make } from "./app.js";
import { activeThing, excludes, requestOf, without, withChanged, withThing } from "./document_state.js";
import { hue } from "./draw.js";
import { sizeOf } from "./input.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./document_state.js").Thing} Thing */

const NAMES = {
  click: "Click", box: "Box", color: "Colour", text: "Name", everything: "Picked",
  plate: "Clean plate", mask: "Own mask", brush: "Brush",
};

/** @param {App} app */
export function request(app) {
  return requestOf(app.doc, (thing) => app.finder.of(app.doc, thing).objects.map((one) => one.mask));
}

/** @param {App} app */
export function setUpPanel(app) {
  setUpObjects(app);
  setUpMask(app);
  setUpFill(app);
  setUpFiles(app);
  app.listeners.add(() => render(app));
}

/** @param {App} app */
function setUpObjects(app) {
  at("new-object").addEventListener("click", () => {
    app.amend({ ...app.doc, active: 0 });
    app.use("click");
    app.say("Click another object.");
  });
  for (const button of at("size-of-click").querySelectorAll("button"))
    button.addEventListener("click", () => sizeOf(app, /** @type {any} */ (button.dataset.size)));
  const tolerance = /** @type {HTMLInputElement} */ (at("tolerance"));
  tolerance.addEventListener("change", () => recolor({ tolerance: Number(tolerance.value) }));
  const everywhere = /** @type {HTMLInputElement} */ (at("everywhere"));
  everywhere.addEventListener("change", () => recolor({ everywhere: everywhere.checked }));

  /** @param {{tolerance?: number, everywhere?: boolean}} change */
  function recolor(change) {
    const active = activeThing(app.doc);
    if (!active?.color) return;
    const color = { ...active.color, ...change };
    app.commit(withChanged(app.doc, active.id, (t) => ({ ...t, color, strokes: [] })));
  }
}

/** @param {App} app */
function setUpMask(app) {
  for (const name of /** @type {const} */ (["dilate", "feather"])) {
    const slider = /** @type {HTMLInputElement} */ (at(name));
    let fresh = true;
    slider.addEventListener("input", () => {
      const doc = { ...app.doc, refine: { ...app.doc.refine, [name]: `${slider.value}px` } };
      if (fresh) app.commit(doc); // one step for a whole drag
      else app.amend(doc);
      fresh = false;
    });
    slider.addEventListener("change", () => (fresh = true));
    at(`${name}-out`).addEventListener("dblclick", () => refine({ [name]: "auto" }));
  }
  const boxes = /** @type {const} */ ({ clean: "fill_holes", edges: "edge_refine", invert: "invert" });
  for (const [id, key] of Object.entries(boxes))
    at(id).addEventListener("change", (event) =>
      refine({ [key]: /** @type {HTMLInputElement} */ (event.target).checked }));
  at("shadow").addEventListener("change", (event) => {
    const value = /** @type {HTMLSelectElement} */ (event.target).value;
    refine({ shadow: value === "" ? null : value === "true" });
  });
  at("save-mask").addEventListener("click", () => void app.trying(async () => {
    const { photo, refine } = app.doc;
    const answer = await (await import("./api.js")).call("POST", `/photos/${photo?.id}/mask`, {
      json: { ...request(app), refine },
    });
    saveAs(await answer.blob(), `${(photo?.name ?? "photo").replace(/\.\w+$/, "")}_mask.png`);
  }));

  /** @param {Partial<import("./document_state.js").Doc["refine"]>} change */
  function refine(change) {
    app.commit({ ...app.doc, refine: { ...app.doc.refine, ...change } });
  }
}

/** @param {App} app */
function setUpFill(app) {
  for (const button of at("filling").querySelectorAll("[data-mode]"))
    button.addEventListener("click", () => {
      const mode = /** @type {"remove"|"replace"} */ (/** @type {HTMLElement} */ (button).dataset.mode);
      app.commit({ ...app.doc, mode });
    });
  /** @type {[string, (value: string) => Partial<import("./document_state.js").Doc>][]} */
  const fields = [
    ["negative", (negative_prompt) => ({ fill: { ...app.doc.fill, negative_prompt } })],
    ["steps", (text) => ({ fill: { ...app.doc.fill, num_inference_steps: number(text) } })],
    ["guidance", (text) => ({ fill: { ...app.doc.fill, guidance_scale: number(text) } })],
    ["strength", (text) => ({ fill: { ...app.doc.fill, strength: number(text) } })],
    ["seed", (text) => ({ fill: { ...app.doc.fill, seed: Math.max(0, Math.floor(Number(text) || 0)) } })],
    ["candidates", (text) => ({ fill: { ...app.doc.fill, candidates: Number(text) } })],
    ["detector", (detector) => ({ detector })],
    ["inpainter", (inpainter) => ({ inpainter })],
  ];
  for (const [id, change] of fields)
    at(id).addEventListener("change", (event) =>
      app.commit({ ...app.doc, ...change(/** @type {HTMLInputElement} */ (event.target).value) }));
  setUpPrompt(app, /** @type {HTMLInputElement} */ (at("prompt")));
  at("verify").addEventListener("change", (event) =>
    app.commit({ ...app.doc, verify: /** @type {HTMLInputElement} */ (event.target).checked }));
  at("get-model").addEventListener("click", () => at("show-models").click());
  at("get-reader").addEventListener("click", () => at("show-models").click());
  at("no-picture").addEventListener("click", () =>
    app.commit({ ...app.doc, fill: { ...app.doc.fill, picture: null } }));
  for (const id of ["copy-command", "copy-command-2"])
    at(id).addEventListener("click", () => void app.trying(() => copyCommand(app)));
  for (const id of ["save-request", "save-request-2"])
    at(id).addEventListener("click", () => void app.trying(() => saveRequest(app)));
}

/** The button follows what is typed; to undo, a whole prompt is one step. @param {App} app @param {HTMLInputElement} field */
function setUpPrompt(app, field) {
  let begun = false;
  field.addEventListener("focus", () => (begun = false));
  field.addEventListener("input", () => {
    const doc = { ...app.doc, fill: { ...app.doc.fill, prompt: field.value } };
    if (begun) app.amend(doc);
    else app.commit(doc);
    begun = true;
  });
  field.addEventListener("keydown", ({ key, isComposing }) => {
    if (key === "Enter" && !isComposing) at("run").click();
  });
}

/** @param {string} text */
const number = (text) => (text.trim() === "" || Number.isNaN(Number(text)) ? null : Number(text));

/** @param {App} app */
async function copyCommand(app) {
  const path = `/photos/${app.doc.photo?.id}/command?candidate=${app.doc.candidate}`;
  const told = await post(path, request(app));
  if (told.saves_request) saveAsRequest(app, told.request);
  for (const file of told.files) await save(`/photos/${app.doc.photo?.id}/masks/${file.id}`);
  try {
    await navigator.clipboard.writeText(told.command);
    app.toast(`Copied: ${told.command}`);
  } catch {
    app.toast(told.command);
  }
}

/** @param {App} app */
async function saveRequest(app) {
  const told = await post(`/photos/${app.doc.photo?.id}/command`, request(app));
  saveAsRequest(app, told.request);
}

/** @param {App} app @param {object} data */
function saveAsRequest(app, data) {
  const text = JSON.stringify(data, null, 2);
  const name = `${(app.doc.photo?.name ?? "photo").replace(/\.\w+$/, "")}.request.json`;
  saveAs(new Blob([text], { type: "application/json" }), name);
}

/** Words, everything, files of one's own. @param {App} app */
function setUpFiles(app) {
  const ask = /** @type {HTMLDialogElement} */ (at("ask"));
  at("ask-text").addEventListener("click", () => app.editing && ask.showModal());
  ask.addEventListener("close", () => {
    const words = /** @type {HTMLInputElement} */ (at("words")).value.trim();
    if (ask.returnValue === "yes" && words) app.commit(withThing(app.doc, "text", { text: words }));
    ask.returnValue = "";
  });
  at("ask-all").addEventListener("click", () => void app.trying(() => offer(app)));

  const files = /** @type {HTMLDialogElement} */ (at("files"));
  const own = /** @type {HTMLInputElement} */ (at("file-own"));
  at("ask-file").addEventListener("click", () => app.editing && files.showModal());
  files.addEventListener("close", () => {
    if (!["mask", "plate"].includes(files.returnValue)) return;
    own.dataset.kind = files.returnValue;
    own.click();
  });
  own.addEventListener("change", () => void app.trying(async () => {
    const kind = /** @type {"mask"|"plate"} */ (own.dataset.kind);
    const sent = await upload(app, own, kind);
    if (sent) app.commit(withThing(app.doc, kind, { file: sent.id, name: sent.name }));
  }));
  const picture = /** @type {HTMLInputElement} */ (at("file-picture"));
  at("choose-picture").addEventListener("click", () => picture.click());
  picture.addEventListener("change", () => void app.trying(async () => {
    const sent = await upload(app, picture, "picture");
    if (sent) app.commit({ ...app.doc, fill: { ...app.doc.fill, picture: sent } });
  }));
}

/** @param {App} app */
async function offer(app) {
  if (!app.editing) return;
  if (app.offered) {
    app.offered = null;
    return app.changed();
  }
  app.say("Looking for all that can be told apart…");
  const body = { prompts: [{ everything: [] }] };
  const { objects } = await post(`/photos/${app.doc.photo?.id}/find`, body);
  app.offered = { prompt: "everything", objects };
  app.changed();
}

/** @param {App} app @param {HTMLInputElement} input @param {string} kind */
async function upload(app, input, kind) {
  const file = input.files?.[0];
  input.value = "";
  if (!file) return null;
  const query = `kind=${kind}&name=${encodeURIComponent(file.name.slice(-200))}`;
  return send(`/photos/${app.doc.photo?.id}/files?${query}`, file);
}

/** @param {App} app */
export async function about(app) {
  app.about = await get("/about");
  const { detectors, inpainters, formats } = app.about;
  const own = ["mask", "plate", "color", "regions"];
  fillIn("detector", detectors.filter((/** @type {string} */ name) => !own.includes(name)));
  fillIn("inpainter", inpainters);
  at("kinds").textContent = `${formats.map((/** @type {string} */ f) => (f === "WEBP" ? "WebP" : f)).join(", ")}; up to ${Math.round(app.about.limits.pixels / 1e6)} megapixels`;
  app.changed();
}

/** @param {string} id @param {string[]} values */
function fillIn(id, values) {
  at(id).replaceChildren(...values.map((value) => make("option", {}, value)));
}

let judged = false;

/** @param {App} app */
function render(app) {
  const { doc } = app;
  at("panel").hidden = !doc.photo;
  if (at("panel").classList.toggle("judging", Boolean(doc.result)) !== judged) at("panel").scrollTop = 0;
  judged = Boolean(doc.result);
  for (const id of ["picking", "masking", "filling"]) {
    at(id).hidden = !doc.photo || Boolean(doc.result);
    at(id).inert = Boolean(doc.job) || app.starting;
  }
  renderObjects(app);
  renderMask(app);
  renderFill(app);
  const { ready } = app.finding;
  const run = /** @type {HTMLButtonElement} */ (at("run"));
  run.disabled = !app.editing || !ready || !wants(doc);
  run.title = !app.editing ? "" : run.disabled ? nextStep(app) : "Enter, or R";
  run.textContent = doc.mode === "remove" ? "Remove" : "Replace";
  run.parentElement?.toggleAttribute("hidden", Boolean(doc.result));
  /** @type {HTMLButtonElement} */ (at("save-mask")).disabled = !ready;
  for (const id of ["copy-command", "save-request"]) /** @type {HTMLButtonElement} */ (at(id)).disabled = !ready;
}

/** @param {import("./document_state.js").Doc} doc */
const wants = (doc) => doc.mode === "remove" || doc.fill.prompt || doc.fill.picture;

const FIRST = {
  click: "Click the object in the photo, or drag a box round it.",
  exclude: "Click the object first; then, with this, what is not of it.",
  box: "Drag a box round the object.",
  brush: "Paint over the object.",
  erase: "Nothing to erase yet: click the object first.",
  color: "Click a colour: what hangs together in it is taken.",
  hand: "Drag the photo to move it.",
};

/** What to do next. @param {App} app */
function nextStep(app) {
  const { pending, failed, ready } = app.finding;
  if (app.offered) return "Click all that you mean. Any tool ends this.";
  if (!app.doc.things.length) return FIRST[app.tool];
  if (pending) return "Looking…";
  if (failed && !ready) return failed.again ? failed.message : "Nothing to take there. Undo, and click elsewhere, drag a box, or paint over it.";
  if (!wants(app.doc)) return "Say below what should stand there, or choose a picture.";
  const active = activeThing(app.doc);
  const beside = active && !excludes(active) ? "Rub it out with the Eraser" : matchMedia("(pointer: coarse)").matches ? "Tap it with Not this" : "Right-click it";
  return `Too little? Click the rest. Too much? ${beside}. Then press ${app.doc.mode === "remove" ? "Remove" : "Replace"}.`;
}

/** @param {App} app */
function renderObjects(app) {
  const { doc } = app;
  const rows = doc.things.map((thing, i) => row(app, thing, i + 1));
  at("objects").replaceChildren(...rows);
  at("hint").textContent = nextStep(app);
  const active = activeThing(doc);
  at("size-of-click").hidden = !active || active.kind !== "click";
  for (const button of at("size-of-click").querySelectorAll("button"))
    button.setAttribute("aria-checked", String(button.dataset.size === active?.granularity));
  at("color-options").hidden = !active?.color;
  if (!active?.color) return;
  const { tolerance, everywhere } = active.color;
  at("tolerance-out").textContent = tolerance === null ? "auto" : String(tolerance);
  if (tolerance !== null) /** @type {HTMLInputElement} */ (at("tolerance")).value = String(tolerance);
  /** @type {HTMLInputElement} */ (at("everywhere")).checked = everywhere;
}

/** @param {App} app @param {Thing} thing @param {number} number */
function row(app, thing, number) {
  const answer = app.finder.of(app.doc, thing);
  const swatch = make("span", { class: "swatch" });
  swatch.style.background = `hsl(${hue(thing.id)} 80% 50%)`;
  const about = make("span", { class: answer.state === "failed" ? "bad quiet" : "quiet" }, said(thing, answer));
  const name = make("button", { class: "name", title: answer.message }, swatch, `${number} ${NAMES[thing.kind]}`, about);
  name.addEventListener("click", () => (answer.again ? app.finder.retry() : app.amend({ ...app.doc, active: thing.id })));
  const gone = make("button", { class: "icon small", "aria-label": `Take object ${number} off the list`, title: "Take off the list (Del)" });
  gone.append(cross());
  gone.addEventListener("click", () => app.commit(without(app.doc, thing.id)));
  return make("li", thing.id === app.doc.active ? { class: "active" } : {}, name, gone);
}

function cross() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#i-close");
  svg.append(use);
  return svg;
}

/** @param {Thing} thing @param {import("./objects.js").Answer} answer */
function said(thing, answer) {
  if (answer.state === "pending") return "looking…";
  if (answer.state === "failed") return answer.again ? "try again" : answer.message.includes("nothing") ? "nothing found" : "see why";
  if (thing.kind === "text") return `“${thing.text}”, ${answer.objects.length}`;
  if (thing.name) return thing.name;
  return thing.strokes.length && thing.kind !== "brush" ? "corrected" : "";
}

/** @param {App} app */
function renderMask(app) {
  const { refine } = app.doc;
  const outline = app.finding.ready ? app.finder.outlined?.outline : undefined;
  for (const name of /** @type {const} */ (["dilate", "feather"])) {
    const slider = /** @type {HTMLInputElement} */ (at(name));
    const auto = refine[name] === "auto";
    const now = auto ? outline?.[name] : Number.parseFloat(refine[name]);
    if (now !== undefined && document.activeElement !== slider) slider.value = String(Math.round(now));
    at(`${name}-out`).textContent = auto ? (outline ? `auto, ${Math.round(outline[name])} px` : "auto") : refine[name].replace("px", " px");
  }
  /** @type {HTMLInputElement} */ (at("clean")).checked = refine.fill_holes;
  /** @type {HTMLInputElement} */ (at("edges")).checked = refine.edge_refine;
  /** @type {HTMLInputElement} */ (at("invert")).checked = refine.invert;
  /** @type {HTMLSelectElement} */ (at("shadow")).value = refine.shadow === null ? "" : String(refine.shadow);
}

/** @param {App} app */
function renderFill(app) {
  const { doc } = app;
  for (const button of at("filling").querySelectorAll("[data-mode]"))
    button.setAttribute("aria-checked", String(/** @type {HTMLElement} */ (button).dataset.mode === doc.mode));
  at("replacing").hidden = doc.mode !== "replace";
  at("no-model").hidden = !app.about || app.about.generates;
  at("no-reader").hidden = !app.about || app.about.reads;
  /** @type {HTMLButtonElement} */ (at("find-words")).disabled = app.about?.reads === false;
  at("picture-name").textContent = doc.fill.picture?.name ?? "none";
  at("no-picture").hidden = !doc.fill.picture;
  at("wording").hidden = !app.about?.generates;
  const { negative_prompt, num_inference_steps, guidance_scale, strength } = doc.fill;
  const values = { negative: negative_prompt, steps: num_inference_steps ?? "", guidance: guidance_scale ?? "", strength: strength ?? "", prompt: doc.fill.prompt, seed: doc.fill.seed, candidates: doc.fill.candidates, detector: doc.detector, inpainter: doc.inpainter };
  for (const [id, value] of Object.entries(values)) {
    const field = /** @type {HTMLInputElement} */ (at(id));
    if (document.activeElement !== field) field.value = String(value);
  }
  /** @type {HTMLInputElement} */ (at("verify")).checked = doc.verify;
}
