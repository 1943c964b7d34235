// @ts-check
/**
 * What is being edited, as plain data that is never changed in place, its history, and the
 * request that it comes to.
 *
 * @typedef {[number, number]} Point
 * @typedef {{points: Point[], radius: number, erase: boolean}} Stroke
 * @typedef {"click"|"box"|"color"|"text"|"everything"|"plate"|"mask"|"brush"} Kind
 * @typedef {Object} Thing one entry in the list of objects
 * @property {number} id
 * @property {Kind} kind
 * @property {Point[]} include
 * @property {Point[]} exclude
 * @property {"auto"|"part"|"object"|"whole"} granularity
 * @property {number[]=} box
 * @property {{at: Point, tolerance: number|null, everywhere: boolean}=} color
 * @property {string=} text
 * @property {number[]=} pick
 * @property {string=} file id of a plate or a mask
 * @property {string=} name what is said of it
 * @property {Stroke[]} strokes
 * @typedef {{id: string, name: string, width: number, height: number, format: string,
 *   bits: number, levels: number}} Photo
 * @typedef {Object} Doc
 * @property {Photo|null} photo
 * @property {Thing[]} things
 * @property {number} active id of the thing that clicks go to, 0 for none
 * @property {{dilate: string, feather: string, fill_holes: boolean, invert: boolean,
 *   shadow: boolean|null, edge_refine: boolean}} refine
 * @property {{prompt: string, negative_prompt: string, num_inference_steps: number|null,
 *   guidance_scale: number|null, strength: number|null, seed: number, candidates: number,
 *   picture: {id: string, name: string}|null}} fill
 * @property {"remove"|"replace"} mode
 * @property {string} detector
 * @property {string} inpainter
 * @property {boolean} verify
 * @property {string|null} job
 * @property {string|null} result
 * @property {number} candidate
 */

/** @type {Doc} */
export const EMPTY = Object.freeze({
  photo: null,
  things: [],
  active: 0,
  refine: {
    dilate: "auto", feather: "auto", fill_holes: true, invert: false, shadow: null,
    edge_refine: true,
  },
  fill: {
    prompt: "", negative_prompt: "", num_inference_steps: null, guidance_scale: null,
    strength: null, seed: 0, candidates: 1, picture: null,
  },
  mode: "remove",
  detector: "auto",
  inpainter: "auto",
  verify: true,
  job: null,
  result: null,
  candidate: 0,
});

/** @param {Doc} doc @param {Kind} kind @param {Partial<Thing>} more @returns {Doc} */
export function withThing(doc, kind, more) {
  const id = 1 + Math.max(0, ...doc.things.map((thing) => thing.id));
  /** @type {Thing} */
  const thing = { id, kind, include: [], exclude: [], granularity: "auto", strokes: [], ...more };
  return { ...doc, things: [...doc.things, thing], active: id };
}

/** @param {Doc} doc @param {number} id @param {(thing: Thing) => Thing} change @returns {Doc} */
export function withChanged(doc, id, change) {
  return { ...doc, things: doc.things.map((one) => (one.id === id ? change(one) : one)) };
}

/** @param {Doc} doc @param {number} id @returns {Doc} */
export function without(doc, id) {
  const things = doc.things.filter((thing) => thing.id !== id);
  return { ...doc, things, active: things.at(-1)?.id ?? 0 };
}

/** @param {Doc} doc */
export const activeThing = (doc) => doc.things.find((thing) => thing.id === doc.active);

/** Whether clicks beside a thing are part of what finds it. @param {Thing} thing */
export const excludes = (thing) => !["brush", "text", "everything"].includes(thing.kind);

/**
 * The prompts that find a thing, in the order in which the command line gives them.
 * @param {Thing} thing @returns {Record<string, unknown>[]}
 */
export function promptsOf(thing) {
  const { include, exclude, granularity } = thing;
  const clicks = include.length || exclude.length ? [points({ include, exclude, granularity })] : [];
  switch (thing.kind) {
    case "click":
      return clicks;
    case "box":
      return [...clicks, { box: thing.box }];
    case "color":
      return [...clicks, { color: thing.color }];
    case "text":
      return [{ text: thing.pick?.length ? { words: thing.text, pick: thing.pick } : thing.text }];
    case "everything":
      return [{ everything: thing.pick ?? [] }];
    case "plate":
      return [...clicks, { plate: thing.file }];
    case "mask":
      return [...clicks, { mask: thing.file }];
    default:
      return [];
  }
}

/** @param {{include: Point[], exclude: Point[], granularity: string}} given */
function points({ include, exclude, granularity }) {
  return {
    points: {
      ...(include.length ? { include } : {}),
      ...(exclude.length ? { exclude } : {}),
      ...(granularity !== "auto" ? { granularity } : {}),
    },
  };
}

/** Whether a detector sees the things together as it sees each by itself. @param {Thing[]} things */
function independent(things) {
  if (things.some((thing) => thing.strokes.length || thing.kind === "brush")) return false;
  if (things.length === 1) return true;
  const kinds = new Set(things.map((thing) => thing.kind));
  if (kinds.size === 1 && (kinds.has("mask") || kinds.has("color"))) {
    const ways = new Set(things.map((t) => JSON.stringify([t.color?.tolerance, t.color?.everywhere])));
    return ways.size === 1 && things.every((t) => !t.include.length && !t.exclude.length);
  }
  if (![...kinds].every((kind) => kind === "click" || kind === "box")) return false;
  const boxes = things.filter((thing) => thing.kind === "box");
  if (boxes.some((thing) => thing.include.length || thing.exclude.length)) return false;
  const clicks = things.filter((thing) => thing.kind === "click");
  return !clicks.some((thing) => boxes.some(({ box }) => thing.include.every((p) => holds(box, p))));
}

/** @param {number[]|undefined} box @param {Point} p */
function holds(box, [x, y]) {
  if (!box) return false;
  const [x0, x1] = [Math.min(box[0], box[2]), Math.max(box[0], box[2])];
  const [y0, y1] = [Math.min(box[1], box[3]), Math.max(box[1], box[3])];
  return x0 <= x && x < x1 && y0 <= y && y < y1;
}

/**
 * The request of all things; by their masks, where they cannot be said together otherwise.
 * @param {Doc} doc @param {(thing: Thing) => string[]} masksOf
 */
export function requestOf(doc, masksOf) {
  const together = independent(doc.things);
  const prompts = together
    ? doc.things.flatMap(promptsOf)
    : doc.things.flatMap((thing) => masksOf(thing).map((mask) => ({ mask })));
  const order = ["points", "text", "everything", "box", "color", "plate", "mask"];
  prompts.sort((a, b) => order.indexOf(Object.keys(a)[0]) - order.indexOf(Object.keys(b)[0]));
  const { seed, candidates, picture, num_inference_steps, guidance_scale, strength } = doc.fill;
  const clicked = together && doc.things.every(({ kind }) => kind === "click" || kind === "box");
  const replacing = doc.mode === "replace";
  const fill = {
    ...(replacing && doc.fill.prompt ? { prompt: doc.fill.prompt } : {}),
    ...(replacing && doc.fill.negative_prompt ? { negative_prompt: doc.fill.negative_prompt } : {}),
    ...(replacing && num_inference_steps ? { num_inference_steps } : {}),
    ...(replacing && guidance_scale !== null ? { guidance_scale } : {}),
    ...(replacing && strength ? { strength } : {}),
    ...(replacing && picture ? { picture: picture.id } : {}),
    ...(seed ? { seed } : {}),
    ...(candidates > 1 ? { candidates } : {}),
  };
  return {
    prompts,
    ...differing("refine", doc.refine, EMPTY.refine),
    ...(Object.keys(fill).length ? { fill } : {}),
    ...(doc.detector !== "auto" && clicked ? { detector: doc.detector } : {}),
    ...(doc.inpainter !== "auto" ? { inpainter: doc.inpainter } : {}),
    ...(doc.verify ? {} : { verify: false }),
  };
}

/** @param {string} name @param {Record<string, unknown>} given @param {Record<string, unknown>} usual */
function differing(name, given, usual) {
  const rest = Object.entries(given).filter(([key, value]) => usual[key] !== value);
  return rest.length ? { [name]: Object.fromEntries(rest) } : {};
}

const KEPT = "segment2inpaint-history";
const MOST = 60;

/** Every state since the photo was opened, and where in it we are. Survives a reload. */
export class History {
  constructor() {
    /** @type {Doc[]} */
    this.docs = [EMPTY];
    this.at = 0;
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
      if (kept?.docs?.length) [this.docs, this.at] = [kept.docs, kept.at];
    } catch {
      sessionStorage.removeItem(KEPT);
    }
  }

  get doc() {
    return this.docs[this.at];
  }

  /** @param {Doc} doc */
  push(doc) {
    this.docs = [...this.docs.slice(0, this.at + 1), doc].slice(-MOST);
    this.at = this.docs.length - 1;
    this.#keep();
  }

  /** Take the place of the present state. @param {Doc} doc */
  amend(doc) {
    this.docs[this.at] = doc;
    this.#keep();
  }

  /** @param {number} by */
  move(by) {
    this.at = Math.min(this.docs.length - 1, Math.max(0, this.at + by));
    this.#keep();
  }

  get canUndo() {
    return this.at > 0 && this.docs[this.at - 1].photo !== null;
  }

  get canRedo() {
    return this.at < this.docs.length - 1;
  }

  #keep() {
    try {
      sessionStorage.setItem(KEPT, JSON.stringify({ docs: this.docs, at: this.at }));
    } catch {
      sessionStorage.removeItem(KEPT); // too many strokes: a reload then starts anew
    }
  }
}
