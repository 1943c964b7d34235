// @ts-check
/** Calls of the server's API. Errors are `Failure`s with a message of one line for the user. */
import { text } from "./texts.js";

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

function serverIsAway() {
  pollUntilServerAnswers();
  return new Failure(0, "Away", text("error.serverAway"));
}

/** Whether the user has cancelled. @param {unknown} error */
export const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

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

/** @returns {Record<string, string>} */
function authorization() {
  const token = sessionStorage.getItem(TOKEN_KEY);
  return token ? { authorization: `Bearer ${token}` } : {};
}

/**
 * Call the API. Throws a `Failure` for an error, or if the server does not answer.
 * @param {string} method @param {string} path
 * @param {{json?: unknown, signal?: AbortSignal}} [options]
 * @returns {Promise<Response>}
 */
export async function call(method, path, { json, signal } = {}) {
  const headers = authorization();
  if (json !== undefined) headers["content-type"] = "application/json";
  const body = json !== undefined ? JSON.stringify(json) : undefined;
  let response;
  try {
    response = await fetch(ROOT + path, { method, headers, body, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw serverIsAway();
  }
  return checked(response);
}

/** The response if the call succeeded. Throws a `Failure` otherwise. @param {Response} response */
async function checked(response) {
  if (response.ok) return response;
  const { error } = (await response.json().catch(() => null)) ?? {};
  const message = typeof error?.message === "string" ? error.message : text("error.status", { status: response.status });
  throw new Failure(response.status, error?.kind ?? "Unknown", message);
}

/** @param {Response} response */
async function toJson(response) {
  try {
    return await response.json();
  } catch (error) {
    throw isAbort(error) ? error : serverIsAway(); // the connection broke off
  }
}

/** @param {string} path @param {AbortSignal} [signal] */
export const get = async (path, signal) => toJson(await call("GET", path, { signal }));

/** @param {string} path @param {unknown} json @param {AbortSignal} [signal] */
export const post = async (path, json, signal) => toJson(await call("POST", path, { json, signal }));

/**
 * Upload a file. `onProgress` is called with the share that is sent, from 0 to 1: `fetch` reports none.
 * @param {string} path @param {Blob} body @param {(share: number) => void} [onProgress] @param {AbortSignal} [signal]
 */
export async function upload(path, body, onProgress = () => {}, signal) {
  const request = new XMLHttpRequest();
  request.open("POST", ROOT + path);
  const headers = { ...authorization(), "content-type": "application/octet-stream" };
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
  request.upload.onload = () => onProgress(1);
  signal?.addEventListener("abort", () => request.abort());
  const response = await new Promise((resolve, reject) => {
    request.onload = () => resolve(new Response(request.response, { status: request.status }));
    request.onerror = () => reject(serverIsAway());
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.send(body);
  });
  return toJson(await checked(response));
}

/** Download a file and save it under the name that the server gives. @param {string} path @param {unknown} [json] for a POST */
export async function download(path, json) {
  const response = await call(json === undefined ? "GET" : "POST", path, { json });
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
