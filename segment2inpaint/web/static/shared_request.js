// @ts-check
/** The request of one photo for another photo: the same clicks, boxes, strokes and files. */
import { call, upload } from "./api.js";
import { buildRequest } from "./document_state.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Photo} Photo */
/** @typedef {import("./document_state.js").Point} Point */
/** @typedef {import("./document_state.js").Selection} Selection */

const POLL_INTERVAL = 50; // ms between two looks at the answers of the server
const SEARCHED_KINDS = ["click", "color"]; // whose objects depend on what lies at a place
const MAX_TIMES = 4; // the area in another photo, compared with the area that the user has seen
const MIN_SHARE = 0.002; // of the photo; a smaller area counts as this

/** @type {Map<string, Promise<string>>} ids of copies, by photo and file */
const copies = new Map();

/** The request of a document, as soon as the server has found the masks in it. @param {App} app @param {Doc} doc */
export async function requestOf(app, doc) {
  for (;;) {
    let isPending = false;
    const request = buildRequest(doc, (selection) => {
      const { state, message, objects } = app.finder.answerFor(doc, selection);
      if (state === "failed") throw new Error(message);
      isPending ||= state === "pending";
      return objects.map(({ mask }) => mask);
    });
    if (!isPending) return request;
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
  }
}

/**
 * Throw an error if the same clicks select far more in another photo: something else lies there.
 * @param {App} app @param {Doc} source @param {Doc} doc of the other photo
 */
export async function refuseFarLarger(app, source, doc) {
  const share = await foundShare(app, doc);
  const times = share / Math.max(await foundShare(app, source), MIN_SHARE);
  if (times > MAX_TIMES) throw new Error(text("strip.farLarger", { times: Math.round(times) }));
}

/** The share of a photo that the objects found at clicks cover. @param {App} app @param {Doc} doc */
async function foundShare(app, doc) {
  const clicked = doc.selections.filter(({ kind, protect }) => SEARCHED_KINDS.includes(kind) && !protect);
  for (;;) {
    const answers = clicked.map((selection) => app.finder.answerFor(doc, selection));
    const area = answers.flatMap(({ objects }) => objects).reduce((sum, object) => sum + object.area, 0);
    if (answers.every(({ state }) => state !== "pending")) return area / ((doc.photo?.width ?? 1) * (doc.photo?.height ?? 1));
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
  }
}

/** The document of `source` for another photo. Places scale with the size of the photo. @param {App} app @param {Doc} source @param {Photo} photo @returns {Promise<Doc>} */
export async function docForPhoto(app, source, photo) {
  const adapted = await Promise.all(source.selections.map((selection) => adapt(app, source, selection, photo)));
  const selections = adapted.flat().map((selection, i) => ({ ...selection, id: i + 1 }));
  const { picture } = source.fill;
  const copy = picture && { ...picture, id: await copyFile(app, photo, picture, "picture") };
  const active = selections.at(-1)?.id ?? 0;
  return { ...source, photo, selections, active, fill: { ...source.fill, picture: copy }, job: null, result: null, candidate: 0 };
}

/** @param {App} app @param {Doc} source @param {Selection} selection @param {Photo} photo @returns {Promise<Selection[]>} */
async function adapt(app, source, selection, photo) {
  if (selection.kind === "mask" || selection.kind === "everything") return copyMasks(app, source, selection, photo);
  const scaled = scaleSelection(selection, photo.width / (source.photo?.width ?? 1), photo.height / (source.photo?.height ?? 1));
  if (!selection.file) return [scaled];
  const file = { id: selection.file, name: selection.name ?? "" };
  return [{ ...scaled, file: await copyFile(app, photo, file, "plate") }];
}

/** @param {Selection} selection @param {number} sx @param {number} sy @returns {Selection} */
function scaleSelection(selection, sx, sy) {
  if (sx === 1 && sy === 1) return selection;
  const scale = (/** @type {Point} */ [x, y]) => /** @type {Point} */ ([Math.floor(x * sx), Math.floor(y * sy)]);
  const { box, color, include, exclude, strokes } = selection;
  return {
    ...selection,
    include: include.map(scale),
    exclude: exclude.map(scale),
    strokes: strokes.map((stroke) => ({ ...stroke, points: stroke.points.map(scale), radius: stroke.radius * Math.sqrt(sx * sy) })),
    ...(box ? { box: box.map((v, i) => Math.round(v * (i % 2 ? sy : sx))) } : {}),
    ...(color ? { color: { ...color, at: scale(color.at) } } : {}),
  };
}

/** Copy the masks that a selection has in its photo. @param {App} app @param {Doc} source @param {Selection} selection @param {Photo} photo */
async function copyMasks(app, source, selection, photo) {
  const { objects } = app.finder.answerFor(source, selection);
  return Promise.all(objects.map(async ({ mask }) => {
    const file = await copyOnce(`${photo.id} ${mask}`, async () => {
      const response = await call("GET", `/photos/${source.photo?.id}/masks/${mask}`);
      return uploadTo(photo, "mask", selection.name ?? "mask.png", await response.blob());
    });
    const { id, granularity, protect, name } = selection;
    return /** @type {Selection} */ ({ id, kind: "mask", include: [], exclude: [], granularity, strokes: [], protect, file, name: name ?? "mask.png" });
  }));
}

/** Upload a clean plate or a picture again, for another photo. @param {App} app @param {Photo} photo @param {{id: string, name: string}} file @param {"plate"|"picture"} kind */
function copyFile(app, photo, { id, name }, kind) {
  return copyOnce(`${photo.id} ${id}`, () => {
    const file = app.uploadedFiles.get(id);
    if (!file) throw new Error(text("strip.lostFile", { name }));
    return uploadTo(photo, kind, name, file);
  });
}

/** @param {Photo} photo @param {string} kind @param {string} name @param {Blob} file @returns {Promise<string>} */
async function uploadTo(photo, kind, name, file) {
  const query = `kind=${kind}&resize=true&name=${encodeURIComponent(name)}`;
  return (await upload(`/photos/${photo.id}/files?${query}`, file)).id;
}

/** @param {string} key @param {() => Promise<string>} copy */
async function copyOnce(key, copy) {
  const known = copies.get(key);
  if (known) return known;
  const id = Promise.resolve().then(copy);
  copies.set(key, id);
  id.catch(() => copies.delete(key));
  return id;
}
