// @ts-check
/**
 * What the server finds at prompts, and what a refinement makes of it. Answers are kept by what
 * was asked: undoing is at once, and a late answer can only ever go where it belongs.
 *
 * @typedef {{mask: string, box: number[], area: number, score: number, paths: number[][]}} Found
 * @typedef {{state: "pending"|"done"|"failed", objects: Found[], message: string, again?: boolean}} Answer
 *   ``again``: the server was away or busy, asking again may help
 * @typedef {{paths: number[][], solid: number[][], dilate: number, feather: number}} Outline
 */
import { Failure, post } from "./api.js";
import { promptsOf } from "./document_state.js";

/** @typedef {import("./document_state.js").Doc} Doc */
/** @typedef {import("./document_state.js").Thing} Thing */

const KEPT = 200;
const PAGE = Math.random().toString(36).slice(2); // another tab's clicks do not replace these
const PENDING = Object.freeze({ state: /** @type {const} */ ("pending"), objects: [], message: "" });

export class Finder {
  /** @param {() => void} changed called whenever an answer has come */
  constructor(changed) {
    this.changed = changed;
    /** @type {Map<string, Answer>} */
    this.answers = new Map();
    /** @type {Map<string, () => void>} what ends the question that a newer one replaces */
    this.asking = new Map();
    /** @type {{key: string, outline: Outline}|null} */
    this.outlined = null;
    this.outlining = false;
  }

  /** What is known of a thing; asks the server the first time. @param {Doc} doc @param {Thing} thing @returns {Answer} */
  of(doc, thing) {
    const photo = doc.photo?.id ?? "";
    const base = thing.strokes.length
      ? { ...thing, strokes: thing.strokes.slice(0, -1) }
      : null;
    const key = JSON.stringify([photo, doc.detector, doc.refine.edge_refine, promptsOf(thing), thing.strokes]);
    const known = this.answers.get(key);
    if (known) return known;
    const before = base && (base.strokes.length || base.kind !== "brush") ? this.of(doc, base) : null;
    if (before?.state === "pending") return before;
    this.#ask(key, `${photo} ${thing.id}`, (signal) =>
      base ? this.#drawn(photo, before, thing, signal) : this.#found(doc, thing, signal),
    );
    return PENDING;
  }

  /** The last answered state of a thing, to show while a new one is being worked on. @param {Doc} doc @param {Thing} thing */
  shown(doc, thing) {
    const answer = this.of(doc, thing);
    const slot = `${doc.photo?.id} ${thing.id}`;
    if (answer.state !== "pending") {
      if (this.last?.photo !== doc.photo?.id) this.last = { photo: doc.photo?.id, answers: new Map() };
      this.last?.answers.set(slot, answer);
      return answer;
    }
    return this.last?.answers.get(slot) ?? answer;
  }

  /** @type {{photo: string|undefined, answers: Map<string, Answer>}|undefined} */
  last;

  /** Ask again for what the server was away from, or too busy for. */
  retry() {
    for (const [key, answer] of this.answers) if (answer.again) this.answers.delete(key);
    this.outlined = null;
    this.changed();
  }

  /** The present masks and what is to be done to them; null without any. @param {Doc} doc */
  refinement(doc) {
    const masks = doc.things.flatMap((thing) => this.of(doc, thing).objects.map((one) => one.mask));
    if (!doc.photo || !masks.length) return null;
    return {
      masks: masks.slice(0, 200),
      refine: doc.refine,
      exclude: doc.things.flatMap((thing) => thing.exclude),
      replace: doc.mode === "replace" && Boolean(doc.fill.prompt),
    };
  }

  /**
   * What will change, by the present masks; asks for it if that is not known, once at a time.
   * @param {Doc} doc @returns {Outline|null}
   */
  outline(doc) {
    const body = this.refinement(doc);
    if (!doc.photo || !body) return null;
    const key = JSON.stringify([doc.photo.id, body]);
    if (this.outlined?.key === key) return this.outlined.outline;
    const pending = doc.things.some((thing) => this.of(doc, thing).state === "pending");
    if (!this.outlining && !pending) void this.#outline(doc.photo.id, key, body);
    return this.outlined?.outline ?? null;
  }

  /** @param {string} photo @param {string} key @param {object} body */
  async #outline(photo, key, body) {
    this.outlining = true;
    const none = { paths: [], solid: [], dilate: 0, feather: 0 };
    try {
      this.outlined = { key, outline: await post(`/photos/${photo}/outline`, body) };
    } catch {
      this.outlined = { key, outline: none };
    } finally {
      this.outlining = false;
      this.changed();
    }
  }

  /** @param {string} key @param {string} slot @param {(signal: AbortSignal) => Promise<Found[]>} work */
  #ask(key, slot, work) {
    this.asking.get(slot)?.();
    const abort = new AbortController();
    const drop = () => {
      abort.abort();
      if (this.answers.get(key)?.state === "pending") this.answers.delete(key);
    };
    this.asking.set(slot, drop);
    this.#keep(key, PENDING);
    work(abort.signal)
      .then((objects) => this.#keep(key, { state: "done", objects, message: "" }))
      .catch((error) => !abort.signal.aborted && this.#missed(key, error))
      .finally(() => {
        if (this.asking.get(slot) === drop) this.asking.delete(slot);
        this.changed();
      });
  }

  /** @param {string} key @param {unknown} error */
  #missed(key, error) {
    const message = error instanceof Error ? error.message : String(error);
    const again = error instanceof Failure && [0, 503].includes(error.status);
    this.#keep(key, { state: "failed", objects: [], message, again });
  }

  /** @param {Doc} doc @param {Thing} thing @param {AbortSignal} signal @returns {Promise<Found[]>} */
  async #found(doc, thing, signal) {
    const clicks = thing.kind === "click" || thing.kind === "box";
    const body = {
      prompts: promptsOf(thing),
      edge_refine: doc.refine.edge_refine,
      slot: `${PAGE} ${thing.id}`,
      ...(clicks && doc.detector !== "auto" ? { detector: doc.detector } : {}),
    };
    return (await post(`/photos/${doc.photo?.id}/find`, body, signal)).objects;
  }

  /** @param {string} photo @param {Answer|null} before @param {Thing} thing @param {AbortSignal} signal */
  async #drawn(photo, before, thing, signal) {
    const strokes = thing.strokes.slice(-1);
    const masks = before?.objects.length ? before.objects.map((one) => one.mask) : [null];
    const calls = masks.map((mask) => post(`/photos/${photo}/strokes`, { mask, strokes }, signal));
    return Promise.all(calls);
  }

  /** @param {string} key @param {Answer} answer */
  #keep(key, answer) {
    this.answers.delete(key);
    this.answers.set(key, answer);
    const oldest = this.answers.keys().next().value;
    if (this.answers.size > KEPT && oldest !== undefined) this.answers.delete(oldest);
  }
}
