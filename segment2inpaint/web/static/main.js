// @ts-check
/** Sets up the page: toolbar, zoom, theme, and the state of all of them. */
import { Failure, onServerAway, setToken, takeTokenFromAddress } from "./api.js";
import { App, byId, messageOf } from "./app.js";
import { Distractions } from "./distractions.js";
import { drawOverlay } from "./draw.js";
import { setUpModels } from "./models.js";
import { setUpOpening } from "./opening.js";
import { loadCapabilities, setUpPanel } from "./panel.js";
import { setUpPlacement } from "./placement.js";
import { setUpPointer } from "./pointer.js";
import { setUpResults } from "./result.js";
import { setUpShortcuts } from "./shortcuts.js";
import { Strip } from "./strip.js";
import { setUpStrip } from "./strip_view.js";
import { text } from "./texts.js";
import { adaptToTouch } from "./touch_words.js";
import { View } from "./view.js";
import { setUpWidened } from "./widened.js";

const THEME_KEY = "segment2inpaint-theme";
const ZOOM_STEP = 1.4;

takeTokenFromAddress();
adaptToTouch(document.body);
const app = new App();
const strip = new Strip(app);
const view = new View(/** @type {HTMLCanvasElement} */ (byId("canvas")), (context) => drawOverlay(app, view, context));

app.distractions = new Distractions(app);
setUpPanel(app);
setUpResults(app, view);
setUpWidened(app);
setUpModels(app);
setUpToolbar();
setUpZoom();
setUpTheme();
setUpStrip(strip);
setUpOpening(app, strip);
setUpPointer(app, view);
setUpPlacement(app, view);
setUpShortcuts(app, view);
app.listeners.add(render);
onServerAway((away) => {
  app.serverAway = away;
  app.notify();
  if (away) return;
  app.finder.retry();
  view.tiles.retry();
  void start();
});
let lastStatus = "";
app.notify();
await start();

async function start() {
  try {
    await loadCapabilities(app);
    await (strip.entries.length ? strip.restore() : app.restorePhoto());
  } catch (error) {
    if (error instanceof Failure && error.status === 401) return askForToken();
    app.toast(messageOf(error));
  }
}

function askForToken() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("token"));
  dialog.showModal();
  dialog.addEventListener("close", () => {
    setToken(/** @type {HTMLInputElement} */ (byId("token-text")).value.trim());
    void start();
  }, { once: true });
}

function setUpToolbar() {
  byId("undo").addEventListener("click", () => app.moveInHistory(-1));
  byId("redo").addEventListener("click", () => app.moveInHistory(1));
  for (const button of document.querySelectorAll("[data-tool]"))
    button.addEventListener("click", () => app.selectTool(/** @type {any} */ (button).dataset.tool));
  const radius = /** @type {HTMLInputElement} */ (byId("radius"));
  radius.addEventListener("input", () => {
    app.radius = Number(radius.value);
    app.notify();
  });
  byId("show-help").addEventListener("click", () => /** @type {HTMLDialogElement} */ (byId("help")).showModal());
}

function setUpZoom() {
  byId("zoom-in").addEventListener("click", () => view.zoomCentered(ZOOM_STEP));
  byId("zoom-out").addEventListener("click", () => view.zoomCentered(1 / ZOOM_STEP));
  byId("zoom-fit").addEventListener("click", () => view.fit());
  byId("zoom-actual").addEventListener("click", () => view.showActualPixels());
  const redraw = view.redraw.bind(view);
  view.redraw = () => {
    byId("zoom-actual").textContent = text("photo.scale", { percent: Math.round(view.scale * devicePixelRatio * 100) });
    byId("radius-out").textContent = text("unit.pixels", { value: Math.round(app.radius / view.scale) || 1 });
    redraw();
  };
}

function setUpTheme() {
  const stored = localStorage.getItem(THEME_KEY);
  if (stored) document.documentElement.dataset.theme = stored;
  byId("theme").addEventListener("click", () => {
    const prefersDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const current = document.documentElement.dataset.theme ?? (prefersDark ? "dark" : "light");
    const next = current === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    localStorage.setItem(THEME_KEY, next);
  });
}

function render() {
  const { photo } = app.doc;
  renderToolbar();
  byId("zoom").hidden = !photo;
  byId("about-photo").textContent = photo ? aboutPhoto(photo) : "";
  renderStatus();
  view.show(photo);
}

/** @param {import("./document_state.js").Photo} photo */
function aboutPhoto({ name, width, height, format, bits }) {
  return text(bits === 16 ? "top.deepPhoto" : "top.photo", { name, width, height, format });
}

function renderToolbar() {
  const { doc, history, editing } = app;
  const busy = Boolean(doc.job) || app.isStarting;
  byId("tools").hidden = !doc.photo;
  /** @type {HTMLButtonElement} */ (byId("undo")).disabled = !history.canUndo || busy;
  /** @type {HTMLButtonElement} */ (byId("redo")).disabled = !history.canRedo || busy;
  const erases = app.erasing || (app.tool === "erase" && busy);
  const activeTool = editing || erases ? (app.suggestions ? null : app.tool) : "hand"; // else a result can only be moved
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (byId("tools").querySelectorAll("button"))) {
    const { tool } = button.dataset;
    if (tool) button.setAttribute("aria-pressed", String(tool === activeTool));
    button.disabled = !editing && (busy || (tool !== "hand" && tool !== "erase"));
  }
  byId("show-all").setAttribute("aria-pressed", String(editing && app.suggestions !== null));
  document.body.classList.toggle("erases", erases);
  byId("brush-size").hidden = !app.usesTool || !app.hasBrush;
  /** @type {HTMLInputElement} */ (byId("radius")).value = String(Math.round(app.radius));
  view.canvas.classList.toggle("moves", app.tool === "hand" || !app.usesTool);
  view.canvas.classList.toggle("brushes", app.usesTool && app.hasBrush);
}

/** Set the status line when the state changes; a message set in between stays until then. */
function renderStatus() {
  const status = statusText();
  if (status !== lastStatus) app.setStatus(status);
  lastStatus = status;
}

function statusText() {
  if (app.serverAway) return text("error.serverStillAway");
  if (!app.editing) return "";
  if (app.suggestions) return text("objects.found", { count: app.suggestions.objects.length });
  const { pending, failed } = app.searchState;
  return pending ? text("objects.searching") : (failed?.message ?? "");
}
