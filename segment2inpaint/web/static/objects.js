// @ts-check
/**
 * The objects that the server finds for the selections, and the outline of what will change.
 *
 * Answers are cached by the question: an undo is shown at once, and a late answer cannot replace
 * that of another question.
 *
 * @typedef {{mask: string, box: number[], area: number, score: number, paths: number[][]}} DetectedObject
 * @typedef {{state: "pending"|"done"|"failed", objects: DetectedObject[], message: string, canRetry?: boolean}} Answer
 *   `canRetry`: the server was away or busy, and asking again may succeed
 * @typedef {{paths: number[][], solid: number[][], dilate: number, feather: number}} Outline
 */
import { Failure, post } from "./api.js";
import { activeSelection, objectsOf, promptsOf } from "./document_state.js";

/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Selection} Selection */
/** @typedef {import("./document_state.js").Stroke} Stroke */

const MAX_ANSWERS = 200; // cached
const MAX_OUTLINED_MASKS = 200; // the server refuses more
export const TAB_ID = Math.random().toString(36).slice(2); // a click in another tab must not replace ours
const PENDING = Object.freeze({ state: /** @type {const} */ ("pending"), objects: [], message: "" });
const NO_OUTLINE = Object.freeze({ paths: [], solid: [], dilate: 0, feather: 0 });

export class Finder {
  /** @param {() => void} notify called when an answer has arrived */
  constructor(notify) {
    this.notify = notify;
    /** @type {Map<string, Answer>} */
    this.answers = new Map();
    /** @type {Map<string, () => void>} cancels the pending question of a selection */
    this.cancelPending = new Map();
    /** @type {{photo: string|undefined, answers: Map<string, Answer>}} the last answers, by `originOf` */
    this.latest = { photo: undefined, answers: new Map() };
    /** @type {{photo: string, key: string, outline: Outline}|null} */
    this.lastOutline = null;
    this.outlining = false;
  }

  /** The answer for a selection. The first call asks the server. @param {Doc} doc @param {Selection} selection @returns {Answer} */
  answerFor(doc, selection) {
    const photo = doc.photo?.id ?? "";
    const strokes = selection.strokes.map(strokeNumber);
    const key = JSON.stringify([photo, doc.detector, doc.refine.edge_refine, promptsOf(selection), strokes]);
    const cached = this.answers.get(key);
    if (cached) return cached;
    const base = selection.strokes.length ? { ...selection, strokes: selection.strokes.slice(0, -1) } : null;
    const before = base && (base.strokes.length || base.kind !== "brush") ? this.answerFor(doc, base) : null;
    if (before?.state === "pending") return before;
    this.#ask(key, `${photo} ${selection.id}`, (signal) =>
      base ? this.#drawLastStroke(photo, before, selection, signal) : this.#find(doc, selection, signal),
    );
    return PENDING;
  }

  /** The answer for a selection, or the one before it while it is pending. @param {Doc} doc @param {Selection} selection */
  latestAnswer(doc, selection) {
    const answer = this.answerFor(doc, selection);
    const latest = this.#latestAnswers(doc);
    const origin = originOf(selection);
    if (answer.state === "pending") return latest.get(origin) ?? answer;
    latest.set(origin, answer);
    dropOldest(latest);
    return answer;
  }

  /** Show contours for the active selection until the server answers. @param {Doc} doc @param {number[][]} paths */
  expect(doc, paths) {
    const active = activeSelection(doc);
    if (!active || this.answerFor(doc, active).state !== "pending") return;
    this.#latestAnswers(doc).set(originOf(active), { ...PENDING, objects: [{ mask: "", box: [], area: 0, score: 0, paths }] });
  }

  /** @param {Doc} doc */
  #latestAnswers(doc) {
    if (this.latest.photo !== doc.photo?.id) this.latest = { photo: doc.photo?.id, answers: new Map() };
    return this.latest.answers;
  }

  /** Ask again where the server was away or busy. */
  retry() {
    for (const [key, answer] of this.answers) if (answer.canRetry) this.answers.delete(key);
    this.lastOutline = null;
    this.notify();
  }

  /** The body of an outline call for the current masks, null if there are none. @param {Doc} doc */
  outlineRequest(doc) {
    const masks = objectsOf(doc).flatMap((selection) => this.answerFor(doc, selection).objects.map(({ mask }) => mask));
    if (!doc.photo || !masks.length) return null;
    return {
      masks: masks.slice(0, MAX_OUTLINED_MASKS),
      refine: doc.refine,
      exclude: objectsOf(doc).flatMap((selection) => selection.exclude),
      replace: doc.mode === "replace" && Boolean(doc.fill.prompt),
      picture: doc.mode === "replace" && Boolean(doc.fill.picture),
      inpainter: doc.inpainter,
      flat: objectsOf(doc).every((selection) => selection.kind === "find"),
    };
  }

  /**
   * The outline of what will change, or the previous one of the photo while the server computes it.
   * @param {Doc} doc @returns {Outline|null}
   */
  outline(doc) {
    const body = this.outlineRequest(doc);
    if (!doc.photo || !body) return null;
    const key = outlineKey(doc, body);
    if (this.lastOutline?.key === key) return this.lastOutline.outline;
    const pending = doc.selections.some((selection) => this.answerFor(doc, selection).state === "pending");
    if (!this.outlining && !pending) void this.#requestOutline(doc.photo.id, key, body);
    return this.lastOutline?.photo === doc.photo.id ? this.lastOutline.outline : null;
  }

  /** The outline of what will change, null until the server has computed it. @param {Doc} doc */
  exactOutline(doc) {
    const outline = this.outline(doc);
    return this.lastOutline?.key === outlineKey(doc, this.outlineRequest(doc)) ? outline : null;
  }

  /** @param {string} photo @param {string} key @param {object} body */
  async #requestOutline(photo, key, body) {
    this.outlining = true;
    try {
      this.lastOutline = { photo, key, outline: await post(`/photos/${photo}/outline`, body) };
    } catch {
      this.lastOutline = { photo, key, outline: NO_OUTLINE };
    } finally {
      this.outlining = false;
      this.notify();
    }
  }

  /** Ask the server, in place of a pending question of the same slot. @param {string} key @param {string} slot @param {(signal: AbortSignal) => Promise<DetectedObject[]>} question */
  #ask(key, slot, question) {
    this.cancelPending.get(slot)?.();
    const controller = new AbortController();
    const cancel = () => {
      controller.abort();
      if (this.answers.get(key)?.state === "pending") this.answers.delete(key);
    };
    this.cancelPending.set(slot, cancel);
    this.#store(key, PENDING);
    question(controller.signal)
      .then((objects) => this.#store(key, { state: "done", objects, message: "" }))
      .catch((error) => !controller.signal.aborted && this.#storeFailure(key, error))
      .finally(() => {
        if (this.cancelPending.get(slot) === cancel) this.cancelPending.delete(slot);
        this.notify();
      });
  }

  /** @param {string} key @param {unknown} error */
  #storeFailure(key, error) {
    const message = error instanceof Error ? error.message : String(error);
    const canRetry = error instanceof Failure && [0, 503].includes(error.status);
    this.#store(key, { state: "failed", objects: [], message, canRetry });
  }

  /** @param {Doc} doc @param {Selection} selection @param {AbortSignal} signal @returns {Promise<DetectedObject[]>} */
  async #find(doc, selection, signal) {
    const usesDetector = selection.kind === "click" || selection.kind === "box";
    const body = {
      prompts: promptsOf(selection),
      edge_refine: doc.refine.edge_refine,
      slot: `${TAB_ID} ${selection.id}`,
      ...(usesDetector && doc.detector !== "auto" ? { detector: doc.detector } : {}),
    };
    return (await post(`/photos/${doc.photo?.id}/find`, body, signal)).objects;
  }

  /** Draw the last stroke into the masks before it. @param {string} photo @param {Answer|null} before @param {Selection} selection @param {AbortSignal} signal */
  async #drawLastStroke(photo, before, selection, signal) {
    const strokes = selection.strokes.slice(-1);
    const masks = before?.objects.length ? before.objects.map(({ mask }) => mask) : [null];
    return Promise.all(masks.map((mask) => post(`/photos/${photo}/strokes`, { mask, strokes }, signal)));
  }

  /** @param {string} key @param {Answer} answer */
  #store(key, answer) {
    this.answers.delete(key);
    this.answers.set(key, answer);
    dropOldest(this.answers);
  }
}

let lastStrokeNumber = 0;
/** @type {WeakMap<Stroke, number>} */
const strokeNumbers = new WeakMap();

/** The number that stands for a stroke in the keys of answers: its points would make them long. @param {Stroke} stroke */
function strokeNumber(stroke) {
  const number = strokeNumbers.get(stroke) ?? ++lastStrokeNumber;
  strokeNumbers.set(stroke, number);
  return number;
}

/** @param {Doc} doc @param {object|null} body of an outline call */
const outlineKey = (doc, body) => JSON.stringify([doc.photo?.id, body]);

/** What a selection began with. The id alone is used again after an undo. @param {Selection} selection */
const originOf = ({ id, kind, include, box, color, text }) => JSON.stringify([id, kind, box ?? color?.at ?? text ?? include[0]]);

/** @param {Map<string, Answer>} answers */
function dropOldest(answers) {
  const oldest = answers.keys().next().value;
  if (answers.size > MAX_ANSWERS && oldest !== undefined) answers.delete(oldest);
}
