// @ts-check
/** Puts the page together. */
import { Failure, onAway, takeToken, useToken } from "./api.js";
import { App, at } from "./app.js";
import { drawOver } from "./draw.js";
import { listen, listenToKeys } from "./input.js";
import { setUpModels } from "./models.js";
import { about, setUpPanel } from "./panel.js";
import { setUpResults } from "./result.js";
import { View } from "./view.js";

const THEME = "segment2inpaint-theme";

takeToken();
const app = new App();
const view = new View(/** @type {HTMLCanvasElement} */ (at("canvas")), (context) => drawOver(app, view, context));

setUpPanel(app);
setUpResults(app, view);
setUpModels(app);
setUpFrame();
setUpOpening();
listen(app, view);
listenToKeys(app, view);
app.listeners.add(render);
onAway((away) => {
  app.away = away;
  app.changed();
  if (away) return;
  app.finder.retry();
  view.tiles.retry();
  void start();
});
let stated = "";
app.changed();
await start();

async function start() {
  try {
    await about(app);
    await app.resume();
  } catch (error) {
    if (error instanceof Failure && error.status === 401) return askToken();
    app.toast(error instanceof Error ? error.message : String(error));
  }
}

function askToken() {
  const dialog = /** @type {HTMLDialogElement} */ (at("token"));
  dialog.showModal();
  dialog.addEventListener("close", () => {
    useToken(/** @type {HTMLInputElement} */ (at("token-text")).value.trim());
    void start();
  }, { once: true });
}

function setUpFrame() {
  at("undo").addEventListener("click", () => app.move(-1));
  at("redo").addEventListener("click", () => app.move(1));
  for (const button of document.querySelectorAll("[data-tool]"))
    button.addEventListener("click", () => app.use(/** @type {any} */ (button).dataset.tool));
  const radius = /** @type {HTMLInputElement} */ (at("radius"));
  radius.addEventListener("input", () => {
    app.radius = Number(radius.value);
    app.changed();
  });
  const middle = () => /** @type {const} */ ([view.width / 2, view.height / 2]);
  at("zoom-in").addEventListener("click", () => view.zoom(1.4, ...middle()));
  at("zoom-out").addEventListener("click", () => view.zoom(1 / 1.4, ...middle()));
  at("zoom-fit").addEventListener("click", () => view.fit());
  at("zoom-actual").addEventListener("click", () => view.actual());
  const redraw = view.redraw.bind(view);
  view.redraw = () => {
    at("zoom-actual").textContent = `${Math.round(view.scale * devicePixelRatio * 100)}%`;
    at("radius-out").textContent = `${Math.round(app.radius / view.scale) || 1} px`;
    redraw();
  };
  at("show-help").addEventListener("click", () => /** @type {HTMLDialogElement} */ (at("help")).showModal());
  setUpTheme();
}

function setUpTheme() {
  const kept = localStorage.getItem(THEME);
  if (kept) document.documentElement.dataset.theme = kept;
  at("theme").addEventListener("click", () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    localStorage.setItem(THEME, next);
  });
}

function setUpOpening() {
  const file = /** @type {HTMLInputElement} */ (at("file"));
  for (const id of ["open", "choose"]) at(id).addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    const chosen = file.files?.[0];
    file.value = "";
    if (chosen) void app.open(chosen, chosen.name);
  });
  let over = 0;
  addEventListener("dragenter", () => (at("drop").hidden = ++over === 0));
  addEventListener("dragleave", () => (at("drop").hidden = --over === 0));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    over = 0;
    at("drop").hidden = true;
    const dropped = event.dataTransfer?.files[0];
    if (dropped) void app.open(dropped, dropped.name);
  });
  addEventListener("paste", (event) => {
    const pasted = event.clipboardData?.files[0];
    if (pasted) void app.open(pasted, pasted.name || "pasted.png");
  });
}

function render() {
  const { doc } = app;
  const has = doc.photo !== null;
  at("empty").hidden = has;
  const choose = /** @type {HTMLButtonElement} */ (at("choose"));
  choose.disabled = app.opening;
  choose.textContent = app.opening ? "Opening…" : "Open a photo…";
  at("tools").hidden = !has;
  at("zoom").hidden = !has;
  at("about-photo").textContent = doc.photo
    ? `${doc.photo.name} · ${doc.photo.width} × ${doc.photo.height} · ${doc.photo.format}${doc.photo.bits === 16 ? ", 16 bit" : ""}`
    : "";
  /** @type {HTMLButtonElement} */ (at("undo")).disabled = !app.history.canUndo || Boolean(doc.job) || app.starting;
  /** @type {HTMLButtonElement} */ (at("redo")).disabled = !app.history.canRedo || Boolean(doc.job) || app.starting;
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (at("tools").querySelectorAll("button"))) {
    const { tool } = button.dataset;
    const held = !app.editing ? "hand" : app.offered ? null : app.tool; // a result is only looked at
    if (tool) button.setAttribute("aria-pressed", String(tool === held));
    button.disabled = !app.editing && tool !== "hand";
  }
  at("ask-all").setAttribute("aria-pressed", String(app.editing && app.offered !== null));
  const brushes = app.tool === "brush" || app.tool === "erase";
  at("brush-size").hidden = !app.editing || !brushes;
  /** @type {HTMLInputElement} */ (at("radius")).value = String(Math.round(app.radius));
  view.canvas.classList.toggle("moves", app.tool === "hand" || !app.editing);
  view.canvas.classList.toggle("brushes", app.editing && brushes);
  sayState();
  view.show(doc.photo);
}

function sayState() {
  const text = app.away ? "The server does not answer; waiting for it." : app.opening ? "Opening…" : app.editing ? found() : "";
  if (text !== stated) app.say(text); // what is said besides stays until then
  stated = text;
}

function found() {
  if (app.offered) return `${app.offered.objects.length} things found: click those you mean.`;
  const { pending, failed } = app.finding;
  return pending ? "Looking…" : (failed?.message ?? "");
}
