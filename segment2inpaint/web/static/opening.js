// @ts-check
/** Opening photos: by a button, a folder, drag and drop, the clipboard, or the sample. */
import { Failure, post } from "./api.js";
import { byId } from "./app.js";
import { EMPTY } from "./document_state.js";
import { insertPicture, takesPicture } from "./fill_section.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./strip.js").Strip} Strip */

const PHOTO_NAME = /\.(jpe?g|jpe|jfif|png|webp|tiff?|bmp|gif|avif|heic|heif|hif|jxl)$/i;
const OPENING_BUTTONS = ["choose", "choose-folder", "paste-photo", "open-sample"]; // of the empty page

/** @param {App} app @param {Strip} strip */
export function setUpOpening(app, strip) {
  const open = (/** @type {File[]} */ files) => void app.reportErrors(() => strip.open(files));
  setUpPicker(["open", "choose"], "file", open);
  setUpPicker(["choose-folder"], "folder", (files) => open(photosOf(app, files)));
  setUpDrop(app, open);
  addEventListener("paste", (event) => open([...(event.clipboardData?.files ?? [])].map(withName)));
  byId("paste-photo").hidden = !navigator.clipboard?.read; // only where the page is at a safe address
  byId("paste-photo").addEventListener("click", () => void app.reportErrors(async () => open(await readClipboard())));
  byId("open-sample").addEventListener("click", () => void openSample(app));
  app.listeners.add(() => render(app));
}

/** @param {string[]} buttons @param {string} id of the input @param {(files: File[]) => void} open */
function setUpPicker(buttons, id, open) {
  const input = /** @type {HTMLInputElement} */ (byId(id));
  for (const button of buttons) byId(button).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    input.value = "";
    open(files);
  });
}

/** @param {App} app @param {(files: File[]) => void} open */
function setUpDrop(app, open) {
  let depth = 0; // elements that the dragged file has entered and not left
  addEventListener("dragenter", () => {
    byId("drop").hidden = ++depth === 0;
    byId("drop").textContent = text(takesPicture(app) ? "opening.dropPicture" : "opening.drop");
  });
  addEventListener("dragleave", () => (byId("drop").hidden = --depth === 0));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    byId("drop").hidden = true;
    const file = event.dataTransfer?.files[0];
    if (file && takesPicture(app)) return void insertPicture(app, file);
    if (event.dataTransfer) void app.reportErrors(async () => open(await droppedFiles(app, /** @type {DataTransfer} */ (event.dataTransfer))));
  });
}

/** The files of a drop, and the photos in its folders. @param {App} app @param {DataTransfer} dropped */
async function droppedFiles(app, dropped) {
  const files = [...dropped.files]; // the browser empties both lists after the event
  const folders = [...dropped.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry?.isDirectory);
  if (!folders.length) return files;
  const names = new Set(folders.map((folder) => folder?.name));
  const inFolders = await Promise.all(folders.map((folder) => filesOf(/** @type {FileSystemDirectoryEntry} */ (folder))));
  return [...files.filter(({ name }) => !names.has(name)), ...photosOf(app, inFolders.flat())];
}

/** All files in a folder and the folders in it. @param {FileSystemDirectoryEntry} folder @returns {Promise<File[]>} */
async function filesOf(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const entries = [];
  for (;;) {
    const some = await new Promise((/** @type {(entries: FileSystemEntry[]) => void} */ resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break; // a reader gives its entries in parts
    entries.push(...some);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  const files = await Promise.all(entries.map(async (entry) => {
    if (entry.isDirectory) return filesOf(/** @type {FileSystemDirectoryEntry} */ (entry));
    return [await new Promise((/** @type {(file: File) => void} */ resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject))];
  }));
  return files.flat();
}

/** The photos among the files of a folder, by their names. @param {App} app @param {File[]} files */
function photosOf(app, files) {
  const photos = files.filter(({ name }) => PHOTO_NAME.test(name) && !name.startsWith("."));
  photos.sort((a, b) => a.webkitRelativePath.localeCompare(b.webkitRelativePath, undefined, { numeric: true }));
  const others = files.filter(({ name }) => !name.startsWith(".")).length - photos.length;
  if (!photos.length) app.toast(text("opening.noPhoto"));
  else if (others) app.toast(text("opening.leftOut", { count: others }));
  return photos;
}

/** @returns {Promise<File[]>} */
async function readClipboard() {
  for (const item of await navigator.clipboard.read()) {
    const type = item.types.find((name) => name.startsWith("image/"));
    if (type) return [new File([await item.getType(type)], `pasted.${type.slice(6)}`, { type })];
  }
  throw new Failure(0, "BadImage", text("opening.emptyClipboard"));
}

/** @param {File} file */
const withName = (file) => (file.name ? file : new File([file], "pasted.png", { type: file.type }));

/** @param {App} app */
async function openSample(app) {
  app.isOpening = true;
  app.notify();
  await app.reportErrors(async () => app.commit({ ...EMPTY, photo: await post("/photos/sample", {}) }));
  app.isOpening = false;
  app.notify();
}

/** @param {App} app */
function render(app) {
  byId("empty").hidden = app.doc.photo !== null;
  for (const id of OPENING_BUTTONS) /** @type {HTMLButtonElement} */ (byId(id)).disabled = app.isOpening;
  byId("choose").textContent = text(app.isOpening ? "opening.isOpening" : "opening.choose");
}
