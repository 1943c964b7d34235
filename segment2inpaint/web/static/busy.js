// @ts-check
/** The card over the photo that shows what is being done, and how much of it. */
import { byId } from "./app.js";
import { text } from "./texts.js";

/** @param {{title: string, note?: string, share?: number}} progress the share is 0 while it is unknown */
export function showProgress({ title, note, share = 0 }) {
  const bar = /** @type {HTMLProgressElement} */ (byId("busy-progress"));
  const percent = share > 0 && share < 1 ? text("unit.percent", { value: Math.round(share * 100) }) : "";
  byId("busy-stage").textContent = title;
  byId("busy-place").textContent = note || percent;
  if (share > 0) bar.value = share;
  else bar.removeAttribute("value");
}
