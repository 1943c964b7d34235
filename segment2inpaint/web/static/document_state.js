// @ts-check
/**
 * The document, as plain data that is never changed in place, its history, and the request to the
 * server that it gives.
 *
 * @typedef {[number, number]} Point x, y in photo px
 * @typedef {{points: Point[], radius: number, erase: boolean}} Stroke
 * @typedef {"click"|"box"|"color"|"text"|"everything"|"find"|"plate"|"mask"|"brush"} Kind
 * @typedef {Object} Selection an entry in the list of objects: how the user points at it
 * @property {number} id
 * @property {Kind} kind
 * @property {Point[]} include
 * @property {Point[]} exclude
 * @property {"auto"|"part"|"object"|"whole"} granularity
 * @property {number[]=} box
 * @property {{at: Point, tolerance: number|null, everywhere: boolean}=} color
 * @property {string=} text
 * @property {"text"|"face"=} find kind of object
 * @property {number[]=} pick numbers of suggested objects
 * @property {string=} file id of a clean plate or a mask
 * @property {string=} name of that file
 * @property {Stroke[]} strokes
 * @property {boolean=} protect no pixel in it may change
 * @typedef {{id: string, name: string, width: number, height: number, format: string,
 *   bits: number, levels: number}} Photo
 * @typedef {{at: Point|null, scale: number, angle: number, flip: boolean, blend: number,
 *   contact_shadow: boolean}} Placement of the inserted picture, as the server takes it
 * @typedef {Object} Doc
 * @property {Photo|null} photo
 * @property {Selection[]} selections
 * @property {number} active id of the selection that clicks go to, 0 for none
 * @property {{dilate: string, feather: string, fill_holes: boolean, invert: boolean,
 *   shadow: boolean|null, edge_refine: boolean}} refine
 * @property {{prompt: string, negative_prompt: string, num_inference_steps: number|null,
 *   guidance_scale: number|null, strength: number|null, seed: number, candidates: number,
 *   picture: {id: string, name: string}|null, placement: Placement, cutout: boolean}} fill
 * @property {"remove"|"replace"} mode
 * @property {string} detector
 * @property {string} inpainter
 * @property {boolean} verify
 * @property {string|null} job id of the running job
 * @property {string|null} result id of the result that is shown
 * @property {number} candidate index of the candidate that is shown
 * @property {boolean} erases a removal with Erase that is not done yet: without a result, the step is taken back
 */

/** @type {Placement} */
export const UNMOVED = Object.freeze({ at: null, scale: 1, angle: 0, flip: false, blend: 0, contact_shadow: false });

/** @type {Doc} */
export const EMPTY = Object.freeze({
  photo: null,
  selections: [],
  active: 0,
  refine: {
    dilate: "auto", feather: "auto", fill_holes: true, invert: false, shadow: null,
    edge_refine: true,
  },
  fill: {
    prompt: "", negative_prompt: "", num_inference_steps: null, guidance_scale: null,
    strength: null, seed: 0, candidates: 1, picture: null,
    placement: UNMOVED, cutout: false,
  },
  mode: "remove",
  detector: "auto",
  inpainter: "auto",
  verify: true,
  job: null,
  result: null,
  candidate: 0,
  erases: false,
});

/** The document for another photo, with the same choice of models. @param {Doc} doc @param {Photo} photo @returns {Doc} */
export const withPhoto = ({ detector, inpainter, verify }, photo) => ({ ...EMPTY, detector, inpainter, verify, photo });

/** @param {Doc} doc @param {Kind} kind @param {Partial<Selection>} properties @returns {Doc} */
export function addSelection(doc, kind, properties) {
  const id = 1 + Math.max(0, ...doc.selections.map((selection) => selection.id));
  /** @type {Selection} */
  const selection = { id, kind, include: [], exclude: [], granularity: "auto", strokes: [], ...properties };
  return { ...doc, selections: [...doc.selections, selection], active: id };
}

/** @param {Doc} doc @param {number} id @param {(selection: Selection) => Selection} change @returns {Doc} */
export function changeSelection(doc, id, change) {
  return { ...doc, selections: doc.selections.map((selection) => (selection.id === id ? change(selection) : selection)) };
}

/** @param {Doc} doc @param {number} id @returns {Doc} */
export function removeSelection(doc, id) {
  const selections = doc.selections.filter((selection) => selection.id !== id);
  return { ...doc, selections, active: selections.at(-1)?.id ?? 0 };
}

/** @param {Doc} doc */
export const activeSelection = (doc) => doc.selections.find((selection) => selection.id === doc.active);

/** The selections that are to be painted over. @param {Doc} doc */
export const objectsOf = (doc) => doc.selections.filter((selection) => !selection.protect);

/** Whether excluded points are part of the prompts of a selection. @param {Selection} selection */
export const canExclude = (selection) => !["brush", "text", "everything", "find"].includes(selection.kind);

/**
 * The prompts that find the objects of a selection, in the order of the command line.
 * @param {Selection} selection @returns {Record<string, unknown>[]}
 */
export function promptsOf(selection) {
  const { include, exclude, granularity } = selection;
  const points = include.length || exclude.length ? [pointsPrompt({ include, exclude, granularity })] : [];
  switch (selection.kind) {
    case "click":
      return points;
    case "box":
      return [...points, { box: selection.box }];
    case "color":
      return [...points, { color: selection.color }];
    case "text":
      return [{ text: selection.pick?.length ? { words: selection.text, pick: selection.pick } : selection.text }];
    case "find":
      return [{ find: selection.find }];
    case "everything":
      return [{ everything: selection.pick ?? [] }];
    case "plate":
      return [...points, { plate: selection.file }];
    case "mask":
      return [...points, { mask: selection.file }];
    default:
      return [];
  }
}

/** @param {{include: Point[], exclude: Point[], granularity: string}} selection */
function pointsPrompt({ include, exclude, granularity }) {
  return {
    points: {
      ...(include.length ? { include } : {}),
      ...(exclude.length ? { exclude } : {}),
      ...(granularity !== "auto" ? { granularity } : {}),
    },
  };
}

/** Whether a detector gives the same masks for all selections together as one by one. @param {Selection[]} selections */
function areIndependent(selections) {
  if (selections.some((selection) => selection.strokes.length || selection.kind === "brush")) return false;
  if (selections.length === 1) return true;
  const kinds = new Set(selections.map((selection) => selection.kind));
  if (kinds.size === 1 && (kinds.has("mask") || kinds.has("color"))) {
    const settings = new Set(selections.map((s) => JSON.stringify([s.color?.tolerance, s.color?.everywhere])));
    return settings.size === 1 && selections.every((s) => !s.include.length && !s.exclude.length);
  }
  if (![...kinds].every((kind) => kind === "click" || kind === "box")) return false;
  const boxes = selections.filter((selection) => selection.kind === "box");
  if (boxes.some((selection) => selection.include.length || selection.exclude.length)) return false;
  const clicks = selections.filter((selection) => selection.kind === "click");
  return !clicks.some((selection) => boxes.some(({ box }) => selection.include.every((p) => boxContains(box, p))));
}

/** @param {number[]|undefined} box @param {Point} point */
function boxContains(box, [x, y]) {
  if (!box) return false;
  const [x0, x1] = [Math.min(box[0], box[2]), Math.max(box[0], box[2])];
  const [y0, y1] = [Math.min(box[1], box[3]), Math.max(box[1], box[3])];
  return x0 <= x && x < x1 && y0 <= y && y < y1;
}

const PROMPT_ORDER = ["points", "text", "everything", "find", "box", "color", "plate", "mask"];

/**
 * The request for all selections, by their prompts, or by their masks if the prompts together would
 * give other masks.
 * @param {Doc} doc @param {(selection: Selection) => string[]} masksOf
 */
export function buildRequest(doc, masksOf) {
  const selections = objectsOf(doc);
  const byPrompts = areIndependent(selections);
  const prompts = byPrompts
    ? selections.flatMap(promptsOf)
    : selections.flatMap((selection) => masksOf(selection).map((mask) => ({ mask })));
  prompts.sort((a, b) => PROMPT_ORDER.indexOf(Object.keys(a)[0]) - PROMPT_ORDER.indexOf(Object.keys(b)[0]));
  const usesDetector = byPrompts && selections.every(({ kind }) => kind === "click" || kind === "box");
  const fill = fillOptions(doc);
  return {
    prompts,
    ...changedOptions("refine", { ...doc.refine, ...protectedAreas(doc, masksOf) }, EMPTY.refine),
    ...(Object.keys(fill).length ? { fill } : {}),
    ...(doc.detector !== "auto" && usesDetector ? { detector: doc.detector } : {}),
    ...(doc.inpainter !== "auto" ? { inpainter: doc.inpainter } : {}),
    ...(doc.verify ? {} : { verify: false }),
  };
}

/** The box of a selection of which the whole box is protected, not the object in it. @param {Selection} selection */
export const protectedBox = ({ protect, kind, strokes, box }) => (protect && kind === "box" && !strokes.length ? box : undefined);

/** @param {Doc} doc @param {(selection: Selection) => string[]} masksOf */
function protectedAreas(doc, masksOf) {
  const protect = doc.selections.filter((selection) => selection.protect).flatMap((selection) =>
    protectedBox(selection) ? [{ box: selection.box }] : masksOf(selection).map((mask) => ({ mask })));
  return protect.length ? { protect } : {};
}

/** @param {Doc} doc */
function fillOptions({ fill, mode, refine }) {
  const { prompt, negative_prompt, seed, candidates, picture } = fill;
  const { num_inference_steps, guidance_scale, strength } = fill;
  const replacing = mode === "replace";
  return {
    ...(replacing && prompt ? { prompt } : {}),
    ...(replacing && negative_prompt ? { negative_prompt } : {}),
    ...(replacing && num_inference_steps ? { num_inference_steps } : {}),
    ...(replacing && guidance_scale !== null ? { guidance_scale } : {}),
    ...(replacing && strength ? { strength } : {}),
    ...(replacing && picture ? { picture: picture.id, ...(fill.cutout ? { picture_cutout: true } : {}) } : {}),
    ...(replacing && picture && !refine.invert ? changedOptions("picture_placement", fill.placement ?? UNMOVED, UNMOVED) : {}),
    ...(seed ? { seed } : {}),
    ...(candidates > 1 ? { candidates } : {}),
  };
}

/** The options that differ from the defaults, under their name. @param {string} name @param {Record<string, unknown>} options @param {Record<string, unknown>} defaults */
function changedOptions(name, options, defaults) {
  const changed = Object.entries(options).filter(([key, value]) => defaults[key] !== value);
  return changed.length ? { [name]: Object.fromEntries(changed) } : {};
}

export const STORAGE_KEY = "segment2inpaint-document"; // of the session storage
const MAX_STEPS = 60; // steps that can be undone

/** Every state of the document since the photo was opened, for undo and redo. It survives a reload. */
export class History {
  /** @param {string} key of the session storage */
  constructor(key = STORAGE_KEY) {
    this.key = key;
    /** @type {Doc[]} */
    this.docs = [EMPTY];
    this.index = 0; // of the current state
    try {
      const stored = sessionStorage.getItem(key);
      if (stored) ({ docs: this.docs, index: this.index } = fromJson(stored));
    } catch {
      sessionStorage.removeItem(key);
    }
  }

  get doc() {
    return this.docs[this.index];
  }

  /** The state that an undo returns to. */
  get previous() {
    return this.docs[this.index - 1];
  }

  /** Add a state after the current one and drop those that were undone. @param {Doc} doc */
  push(doc) {
    this.docs = [...this.docs.slice(0, this.index + 1), doc].slice(-MAX_STEPS);
    this.index = this.docs.length - 1;
    this.#store();
  }

  /** Replace the current state. @param {Doc} doc */
  amend(doc) {
    this.docs[this.index] = doc;
    this.#store();
  }

  /** Forget the current state and those that were undone, and return to the one before. */
  drop() {
    this.docs = this.docs.slice(0, Math.max(1, this.index));
    this.index = this.docs.length - 1;
    this.#store();
  }

  /** @param {number} steps */
  move(steps) {
    this.index = Math.min(this.docs.length - 1, Math.max(0, this.index + steps));
    this.#store();
  }

  /** Forget all states. The storage follows with the next change. */
  clear() {
    this.docs = [EMPTY];
    this.index = 0;
  }

  /** Keep the states under another key of the session storage. @param {string} key */
  moveTo(key) {
    sessionStorage.removeItem(this.key);
    this.key = key;
    this.#store();
  }

  get canUndo() {
    return Boolean(this.previous?.photo);
  }

  get canRedo() {
    return this.index < this.docs.length - 1;
  }

  #store() {
    try {
      sessionStorage.setItem(this.key, toJson(this.docs, this.index));
    } catch {
      sessionStorage.removeItem(this.key); // too many strokes for the storage: a reload loses the history
    }
  }
}

/**
 * States as JSON. A stroke, which all states after it share, is written once: storing each step of
 * a long history would take seconds.
 * @param {Doc[]} docs @param {number} index
 */
function toJson(docs, index) {
  /** @type {Map<Stroke, number>} */
  const numbers = new Map();
  const numberOf = (/** @type {Stroke} */ stroke) => {
    if (!numbers.has(stroke)) numbers.set(stroke, numbers.size);
    return numbers.get(stroke);
  };
  const states = docs.map((doc) => mapStrokes(doc, numberOf));
  return JSON.stringify({ docs: states, index, strokes: [...numbers.keys()] });
}

/** The states that were stored. Throws an error for any other text. @param {string} text @returns {{docs: Doc[], index: number}} */
function fromJson(text) {
  const { docs, index, strokes } = JSON.parse(text);
  return { docs: docs.map((/** @type {Doc} */ doc) => mapStrokes(doc, (number) => strokes[number])), index };
}

/** @param {Doc} doc @param {(stroke: any) => any} convert */
const mapStrokes = (doc, convert) => ({
  ...doc,
  selections: doc.selections.map((selection) => ({ ...selection, strokes: selection.strokes.map(convert) })),
});
