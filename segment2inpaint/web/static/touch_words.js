// @ts-check
/** The words for a finger: "tap" where the texts of the page and the server say "click". */

export const isTouch = globalThis.matchMedia?.("(pointer: coarse)").matches ?? false;
const MOUSE_KEYS = / \([^)]*-click[^)]*\)/g; // as in "(X, right-click or Alt-click)"
const ATTRIBUTES = ["title", "aria-label"];

/** @param {string} text */
export function inTouchWords(text) {
  if (!isTouch) return text;
  return text.replace(MOUSE_KEYS, "").replace(/\b([Cc])lick(s|ed|ing)?\b/g, (_, initial, end = "") =>
    `${initial === "C" ? "T" : "t"}ap${end.length > 1 ? "p" : ""}${end}`);
}

/** Change the texts that the page has from the start. @param {HTMLElement} root */
export function adaptToTouch(root) {
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = /** @type {Text} */ (texts.currentNode);
    text.data = inTouchWords(text.data);
  }
  for (const name of ATTRIBUTES)
    for (const element of root.querySelectorAll(`[${name}]`)) element.setAttribute(name, inTouchWords(element.getAttribute(name) ?? ""));
}
