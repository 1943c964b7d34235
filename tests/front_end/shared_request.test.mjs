import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { addSelection, EMPTY } from "../../segment2inpaint/web/static/document_state.js";
import { docForPhoto, requestOf } from "../../segment2inpaint/web/static/shared_request.js";
import { fakeApp, fakeServer, fakeStorage, PHOTO, settled } from "./fakes.mjs";

const OPENED = { ...EMPTY, photo: PHOTO };
const SAME = { ...PHOTO, id: "p2" };
const HALF = { ...PHOTO, id: "p3", width: 2000, height: 750 }; // half as wide, a quarter as high
const click = (doc, ...include) => addSelection(doc, "click", { include });
let calls;

beforeEach(() => {
  fakeStorage();
  calls = fakeServer();
});

test("the selections are the same in another photo of the same size", async () => {
  const source = { ...click(OPENED, [7, 9]), job: "j", result: "r", candidate: 2 };
  const doc = await docForPhoto(fakeApp(), source, SAME);
  assert.deepEqual(doc, { ...source, photo: SAME, job: null, result: null, candidate: 0 });
});

test("places scale with the size of the photo", async () => {
  const strokes = [{ points: [[100, 100]], radius: 8, erase: true }];
  let source = addSelection(OPENED, "box", { box: [100, 100, 300, 900], exclude: [[200, 400]], strokes });
  source = addSelection(source, "color", { color: { at: [3999, 2999], tolerance: 5, everywhere: true } });
  const [box, color] = (await docForPhoto(fakeApp(), source, HALF)).selections;
  assert.deepEqual([box.box, box.exclude], [[50, 25, 150, 225], [[100, 100]]]);
  assert.deepEqual(box.strokes, [{ points: [[50, 25]], radius: 8 * Math.sqrt(1 / 8), erase: true }]);
  assert.deepEqual(color.color, { at: [1999, 749], tolerance: 5, everywhere: true });
});

test("the selections of another photo are numbered anew, and the last is active", async () => {
  const source = click(click(OPENED, [1, 1]), [2, 2]);
  const doc = await docForPhoto(fakeApp(), { ...source, selections: source.selections.map((s) => ({ ...s, id: s.id + 7 })) }, SAME);
  assert.deepEqual([doc.selections.map(({ id }) => id), doc.active], [[1, 2], 2]);
});

test("a file that a reload has forgotten is asked for by its name", async () => {
  const source = addSelection(OPENED, "plate", { file: "f1", name: "empty room.jpg" });
  await assert.rejects(docForPhoto(fakeApp(), source, SAME), /choose empty room\.jpg again/);
});

test("a request waits until the masks in it are found", async () => {
  const app = fakeApp();
  let answer = { state: "pending", objects: [], message: "" };
  app.finder.answerFor = () => answer;
  const brush = addSelection(OPENED, "brush", { strokes: [] });
  let request;
  const promise = requestOf(app, brush).then((found) => (request = found));
  await settled();
  assert.equal(request, undefined);
  answer = { ...answer, state: "done", objects: [{ mask: "m1" }] };
  await promise;
  assert.deepEqual(request, { prompts: [{ mask: "m1" }] });
  assert.equal(calls.length, 0);
});

test("a request for masks that are not found says why", async () => {
  const app = fakeApp();
  app.finder.answerFor = () => ({ state: "failed", objects: [], message: "nothing found at 5,5" });
  await assert.rejects(requestOf(app, addSelection(OPENED, "brush", { strokes: [] })), /nothing found at 5,5/);
});
