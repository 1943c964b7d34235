// @ts-check
/** The texts of the page, in the file of its language. The server puts them into the HTML. */
import { inTouchWords } from "./touch_words.js";

/** @typedef {Record<string, string>} Forms a text by plural category, as `Intl.PluralRules` names them */

/** @type {Record<string, string|Forms>|undefined} */
let texts;

/** A text with its `{name}`s replaced by values; `count` chooses the plural form. @param {string} key @param {Record<string, string|number>} [values] */
export function text(key, values = {}) {
  texts ??= /** @type {Record<string, string|Forms>} */ (JSON.parse(document.getElementById("texts")?.textContent ?? ""));
  const entry = texts[key];
  const template = typeof entry === "string" ? entry : entry[pluralCategory(texts, Number(values.count))] ?? entry.other;
  return inTouchWords(template).replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** @param {Record<string, string|Forms>} all @param {number} count */
const pluralCategory = (all, count) => new Intl.PluralRules(String(all["page.language"])).select(count);
