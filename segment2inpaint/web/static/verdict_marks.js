// @ts-check
/** The mark of a photo in the strip: its verdict, its error, or what is going on. */
import { get } from "./api.js";
import { errorOf } from "./strip.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./strip.js").Entry} Entry */
/** @typedef {{mark: string, words: string}} Mark */

/** @type {Map<string, Mark>} by result and candidate */
const verdicts = new Map();

/** @param {App} app @param {Entry} entry @returns {Mark} */
export function markOf(app, entry) {
  const { state, history: { doc } } = entry;
  const error = errorOf(entry);
  if (state === "running" || doc.job) return { mark: "running", words: text("strip.running") };
  if (state === "waiting") return { mark: "waiting", words: text("strip.waiting") };
  if (error) return { mark: "error", words: error };
  if (!doc.result) return { mark: "", words: "" };
  return verdictOf(app, doc.result, doc.candidate);
}

/** The verdict on a result. The first call fetches it. @param {App} app @param {string} result @param {number} candidate @returns {Mark} */
function verdictOf(app, result, candidate) {
  const key = `${result} ${candidate}`;
  const known = verdicts.get(key);
  if (known) return known;
  const unknown = { mark: "done", words: text("strip.done") };
  verdicts.set(key, unknown);
  get(`/results/${result}`).then(({ candidates }) => {
    const { verdict, sentence } = candidates[candidate];
    if (verdict) verdicts.set(key, { mark: verdict, words: sentence });
    app.notify();
  }, () => verdicts.delete(key));
  return unknown;
}
