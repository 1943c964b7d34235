// @ts-check
/** Calls to the server. Errors are `Failure`s with one line for people. */

const ROOT = "/api/v1";
const TOKEN = "segment2inpaint-token";
const KNOCK = 2000; // ms between two tries to reach a server that is away

let away = false;
/** @type {(away: boolean) => void} */
let tell = () => {};

/** Be told when the server stops answering, and when it answers again. @param {(away: boolean) => void} heard */
export function onAway(heard) {
  tell = heard;
}

function lost() {
  if (away) return;
  away = true;
  tell(true);
  const back = () => ((away = false), tell(false));
  const knock = () => void setTimeout(() => fetch(`${ROOT}/about`).then(back, knock), KNOCK);
  knock();
}

export class Failure extends Error {
  /** @param {number} status @param {string} kind @param {string} message */
  constructor(status, kind, message) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

/** Take the token out of the address, where it came with the link, and keep it for this tab. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  sessionStorage.setItem(TOKEN, given);
  history.replaceState(null, "", location.pathname);
}

/** @param {string} token */
export function useToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/**
 * @param {string} method @param {string} path
 * @param {{json?: unknown, body?: Blob, signal?: AbortSignal}} [options]
 * @returns {Promise<Response>}
 */
export async function call(method, path, { json, body, signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.authorization = `Bearer ${token}`;
  if (json !== undefined) headers["content-type"] = "application/json";
  else if (body) headers["content-type"] = "application/octet-stream";
  const sent = json !== undefined ? JSON.stringify(json) : body;
  let answer;
  try {
    answer = await fetch(ROOT + path, { method, headers, body: sent, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    lost();
    throw new Failure(0, "Away", "The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  const message = told?.error?.message ?? `The server answered ${answer.status}.`;
  throw new Failure(answer.status, told?.error?.kind ?? "Unknown", message);
}

/** @param {string} path @param {AbortSignal} [signal] */
export const get = async (path, signal) => (await call("GET", path, { signal })).json();

/** @param {string} path @param {unknown} json @param {AbortSignal} [signal] */
export const post = async (path, json, signal) => (await call("POST", path, { json, signal })).json();

/** @param {string} path @param {Blob} body */
export const send = async (path, body) => (await call("POST", path, { body })).json();

/** Save what a path gives, under the name that the server says. @param {string} path */
export async function save(path) {
  const answer = await call("GET", path);
  const named = answer.headers.get("content-disposition") ?? "";
  const name = /filename\*=UTF-8''(\S+)/.exec(named)?.[1] ?? /filename="([^"]+)"/.exec(named)?.[1];
  saveAs(await answer.blob(), decodeURIComponent(name ?? "photo"));
}

/** @param {Blob} blob @param {string} name */
export function saveAs(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
