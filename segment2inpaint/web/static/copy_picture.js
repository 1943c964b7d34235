// @ts-check
/** The result on the clipboard, as PNG, the format that browsers accept there. */
import { call, Failure } from "./api.js";
import { text } from "./texts.js";

/** @typedef {import("./app.js").App} App */

/** @param {App} app */
export async function copyPicture(app) {
  const { result, candidate } = app.doc;
  const picture = call("GET", `/results/${result}/file?candidate=${candidate}&format=PNG`).then((response) => response.blob());
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]); // begun within the click, as browsers ask
    app.toast(text("result.copied"));
  } catch {
    await picture; // an error of the server is reported as such
    throw new Failure(0, "Refused", text("result.copyRefused"));
  }
}
