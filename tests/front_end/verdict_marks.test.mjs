import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { EMPTY } from "../../segment2inpaint/web/static/document_state.js";
import { setError } from "../../segment2inpaint/web/static/strip.js";
import { markOf } from "../../segment2inpaint/web/static/verdict_marks.js";
import { fakeApp, fakeServer, fakeStorage, PHOTO, settled } from "./fakes.mjs";

let calls;

beforeEach(() => {
  fakeStorage();
  calls = fakeServer();
});

const entryOf = (doc = {}, properties = {}) => ({
  name: "photo.jpg", state: "", error: "", failedResult: null, history: { doc: { ...EMPTY, photo: PHOTO, ...doc } }, ...properties,
});
const markName = (entry) => markOf(fakeApp(), entry).mark;

test("a photo without a result has no mark", () => {
  assert.equal(markName(entryOf()), "");
});

test("work in progress is shown before all else", () => {
  assert.equal(markName(entryOf({ result: "r0" }, { state: "running", error: "broken" })), "running");
  assert.equal(markName(entryOf({ job: "j1" })), "running");
  assert.equal(markName(entryOf({}, { state: "waiting", error: "broken" })), "waiting");
});

test("an error is shown in its words until there is a newer result", () => {
  const entry = entryOf({ result: "r1" });
  setError(entry, new Error("the disk is full"));
  assert.deepEqual(markOf(fakeApp(), entry), { mark: "error", words: "the disk is full" });
  entry.history.doc = { ...entry.history.doc, result: "r2" };
  assert.notEqual(markName(entry), "error");
});

test("a result is done until its verdict is fetched, once for each", async () => {
  const [first, second] = [0, 1].map((candidate) => entryOf({ result: "r3", candidate }));
  assert.equal(markName(first), "done");
  assert.equal(markName(first), "done");
  assert.deepEqual(calls.map(({ path }) => path), ["/results/r3"]);
  const candidates = [{ verdict: "clean", sentence: "no fault" }, { verdict: "failed", sentence: "a seam" }];
  calls[0].answer({ candidates });
  await settled();
  assert.deepEqual(markOf(fakeApp(), first), { mark: "clean", words: "no fault" });
  assert.equal(markName(second), "done");
  calls[1].answer({ candidates });
  await settled();
  assert.equal(markName(second), "failed");
});

test("a verdict that could not be fetched is asked for again", async () => {
  const entry = entryOf({ result: "r4" });
  markName(entry);
  calls[0].fail(503);
  await settled();
  markName(entry);
  assert.equal(calls.length, 2);
});
