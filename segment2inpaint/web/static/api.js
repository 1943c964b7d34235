// @ts-check
/** Calls of the server's API. Errors are `Failure`s with a message of one line for the user. */

const ROOT = "/api/v1";
const TOKEN_KEY = "segment2inpaint-token";
const RETRY_INTERVAL = 2000; // ms between two attempts to reach a server that does not answer

let serverAway = false;
/** @type {(away: boolean) => void} */
let notifyAway = () => {};

/** Call `listener` when the server stops answering, and when it answers again. @param {(away: boolean) => void} listener */
export function onServerAway(listener) {
  notifyAway = listener;
}

function pollUntilServerAnswers() {
  if (serverAway) return;
  serverAway = true;
  notifyAway(true);
  const onAnswer = () => ((serverAway = false), notifyAway(false));
  const poll = () => void setTimeout(() => fetch(`${ROOT}/about`).then(onAnswer, poll), RETRY_INTERVAL);
  poll();
}

export class Failure extends Error {
  /** @param {number} status HTTP status, 0 if the server does not answer @param {string} kind @param {string} message */
  constructor(status, kind, message) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

/** Move the token from the address of the page, if it is there, to the storage of this tab. */
export function takeTokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  sessionStorage.setItem(TOKEN_KEY, token);
  history.replaceState(null, "", location.pathname);
}

/** @param {string} token */
export function setToken(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
}

/**
 * Call the API. Throws a `Failure` for an error, or if the server does not answer.
 * @param {string} method @param {string} path
 * @param {{json?: unknown, body?: Blob, signal?: AbortSignal}} [options]
 * @returns {Promise<Response>}
 */
export async function call(method, path, { json, body, signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  const token = sessionStorage.getItem(TOKEN_KEY);
  if (token) headers.authorization = `Bearer ${token}`;
  if (json !== undefined) headers["content-type"] = "application/json";
  else if (body) headers["content-type"] = "application/octet-stream";
  const content = json !== undefined ? JSON.stringify(json) : body;
  let response;
  try {
    response = await fetch(ROOT + path, { method, headers, body: content, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    pollUntilServerAnswers();
    throw new Failure(0, "Away", "The server does not answer. Is it still running?");
  }
  if (response.ok) return response;
  const { error } = (await response.json().catch(() => null)) ?? {};
  const message = error?.message ?? `The server answered with status ${response.status}.`;
  throw new Failure(response.status, error?.kind ?? "Unknown", message);
}

/** @param {string} path @param {AbortSignal} [signal] */
export const get = async (path, signal) => (await call("GET", path, { signal })).json();

/** @param {string} path @param {unknown} json @param {AbortSignal} [signal] */
export const post = async (path, json, signal) => (await call("POST", path, { json, signal })).json();

/** @param {string} path @param {Blob} body */
export const upload = async (path, body) => (await call("POST", path, { body })).json();

/** Download a file and save it under the name that the server gives. @param {string} path */
export async function download(path) {
  const response = await call("GET", path);
  const disposition = response.headers.get("content-disposition") ?? "";
  const name = /filename\*=UTF-8''(\S+)/.exec(disposition)?.[1] ?? /filename="([^"]+)"/.exec(disposition)?.[1];
  saveAs(await response.blob(), decodeURIComponent(name ?? "photo"));
}

/** @param {Blob} blob @param {string} name */
export function saveAs(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
