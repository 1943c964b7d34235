import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { addSelection, changeSelection, EMPTY } from "../../segment2inpaint/web/static/document_state.js";
import { Finder } from "../../segment2inpaint/web/static/objects.js";
import { fakeServer, fakeStorage, PHOTO, settled } from "./fakes.mjs";

const OPENED = { ...EMPTY, photo: PHOTO };
const STROKES = [1, 2].map((x) => ({ points: [[x, x]], radius: 3, erase: false }));
const click = (doc, ...include) => addSelection(doc, "click", { include });
const objectsOf = (...masks) => masks.map((mask) => ({ mask, box: [0, 0, 1, 1], area: 1, score: 1, paths: [[0, 0, 1, 1]] }));
const masksIn = ({ objects }) => objects.map(({ mask }) => mask);
let calls;
let finder;

beforeEach(() => {
  fakeStorage();
  calls = fakeServer();
  finder = new Finder(() => {});
});

const ask = (doc, index = 0) => finder.answerFor(doc, doc.selections[index]);

/** Answer the newest question with objects. */
async function answer(...masks) {
  calls.at(-1).answer({ objects: objectsOf(...masks) });
  await settled();
}

test("a question is asked once, and its answer stays", async () => {
  const doc = click(OPENED, [1, 2]);
  assert.equal(ask(doc).state, "pending");
  assert.equal(ask(doc).state, "pending");
  assert.equal(calls.length, 1);
  assert.deepEqual(calls[0].body.prompts, [{ points: { include: [[1, 2]] } }]);
  await answer("m1");
  assert.deepEqual(masksIn(ask(doc)), ["m1"]);
  assert.equal(calls.length, 1);
});

test("an undo is answered at once", async () => {
  const one = click(OPENED, [1, 2]);
  ask(one);
  await answer("m1");
  const two = changeSelection(one, 1, (s) => ({ ...s, include: [...s.include, [3, 4]] }));
  ask(two);
  await answer("m2");
  assert.deepEqual(masksIn(ask(one)), ["m1"]);
  assert.deepEqual(masksIn(ask(two)), ["m2"]);
});

test("another click on an object cancels the question of the one before", async () => {
  const one = click(OPENED, [1, 2]);
  ask(one);
  const two = changeSelection(one, 1, (s) => ({ ...s, include: [...s.include, [3, 4]] }));
  ask(two);
  assert.deepEqual(calls.map(({ isAborted }) => isAborted), [true, false]);
  await settled();
  ask(one); // after an undo
  assert.equal(calls.length, 3);
});

test("questions of two objects do not cancel each other", () => {
  const doc = click(click(OPENED, [1, 2]), [3, 4]);
  ask(doc, 0);
  ask(doc, 1);
  assert.deepEqual(calls.map(({ isAborted }) => isAborted), [false, false]);
});

test("the mask before is shown while the next one is searched", async () => {
  const one = click(OPENED, [1, 2]);
  finder.latestAnswer(one, one.selections[0]);
  await answer("m1");
  finder.latestAnswer(one, one.selections[0]);
  const two = changeSelection(one, 1, (s) => ({ ...s, include: [...s.include, [3, 4]] }));
  assert.deepEqual(masksIn(finder.latestAnswer(two, two.selections[0])), ["m1"]);
  await answer("m2");
  assert.deepEqual(masksIn(finder.latestAnswer(two, two.selections[0])), ["m2"]);
});

test("the outline below the pointer is shown until the click is answered", async () => {
  const doc = click(OPENED, [1, 2]);
  finder.expect(doc, [[5, 5, 9, 9]]);
  assert.deepEqual(finder.latestAnswer(doc, doc.selections[0]).objects[0].paths, [[5, 5, 9, 9]]);
  await answer("m1");
  assert.deepEqual(masksIn(finder.latestAnswer(doc, doc.selections[0])), ["m1"]);
});

test("strokes are drawn one after the other, each into the mask before it", async () => {
  const doc = addSelection(OPENED, "brush", { strokes: STROKES });
  ask(doc);
  assert.deepEqual(calls[0].body, { mask: null, strokes: [STROKES[0]] });
  calls[0].answer(objectsOf("m1")[0]);
  await settled();
  ask(doc);
  assert.deepEqual(calls[1].body, { mask: "m1", strokes: [STROKES[1]] });
  calls[1].answer(objectsOf("m2")[0]);
  await settled();
  assert.deepEqual(masksIn(ask(doc)), ["m2"]);
  assert.equal(calls.length, 2);
});

test("a stroke at the place of another is another question", () => {
  for (const [i, stroke] of STROKES.entries()) {
    ask(addSelection(OPENED, "brush", { strokes: [stroke] }));
    assert.equal(calls.length, i + 1);
  }
});

test("a failure is told, and asked again only where the server was away or busy", async () => {
  const doc = click(OPENED, [1, 2]);
  for (const [status, canRetry] of [[422, false], [503, true]]) {
    ask(doc);
    calls.at(-1).fail(status);
    await settled();
    const { state, message } = ask(doc);
    assert.deepEqual([state, message, ask(doc).canRetry], ["failed", `status ${status}`, canRetry]);
    finder.retry();
    assert.equal(ask(doc).state, canRetry ? "pending" : "failed");
    finder = new Finder(() => {});
  }
});

test("no outline is asked for before there is a mask, or for what is protected", async () => {
  const doc = click(OPENED, [1, 2]);
  assert.equal(finder.outlineRequest(doc), null);
  await answer("m1");
  assert.deepEqual(finder.outlineRequest(doc).masks, ["m1"]);
  assert.equal(finder.outlineRequest(changeSelection(doc, 1, (s) => ({ ...s, protect: true }))), null);
});

test("an outline is exact only for the settings that it was computed with", async () => {
  const doc = click(OPENED, [1, 2]);
  ask(doc);
  await answer("m1");
  assert.equal(finder.outline(doc), null);
  const outline = { paths: [[0, 0, 5, 5]], solid: [], dilate: 4, feather: 2 };
  calls.at(-1).answer(outline);
  await settled();
  assert.deepEqual(finder.exactOutline(doc), outline);
  const wider = { ...doc, refine: { ...doc.refine, dilate: "40px" } };
  assert.deepEqual(finder.outline(wider), outline); // shown until the next one is there
  assert.equal(finder.exactOutline(wider), null);
});
