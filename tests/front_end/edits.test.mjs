import assert from "node:assert/strict";
import { test } from "node:test";
import { activeSelection, addSelection, EMPTY } from "../../segment2inpaint/web/static/document_state.js";
import { addBox, addClick, addStroke, changeGranularity, setGranularity, withClick } from "../../segment2inpaint/web/static/edits.js";
import { mended } from "../../segment2inpaint/web/static/mending.js";
import { fakeApp, PHOTO } from "./fakes.mjs";

const OPENED = { ...EMPTY, photo: PHOTO };
const POINTS = [[1, 1], [2, 2]];
const active = (app) => activeSelection(app.doc);
const clicked = (...points) => points.reduce(withClick, OPENED);

// --- clicks and boxes ------------------------------------------------------------------------

test("a further click goes to the object that is active", () => {
  const { selections } = clicked([1, 1], [2, 2]);
  assert.deepEqual(selections.map(({ include }) => include), [POINTS]);
});

test("a click after a colour or a stroke starts a new object", () => {
  const color = addSelection(OPENED, "color", { color: { at: [1, 1], tolerance: null, everywhere: false } });
  const brush = addSelection(OPENED, "brush", { strokes: [] });
  for (const doc of [color, brush]) assert.deepEqual(withClick(doc, [5, 5]).selections.map(({ kind }) => kind), [doc.selections[0].kind, "click"]);
});

test("a click corrects the object in a box and drops the strokes, which corrected the mask before", () => {
  const app = fakeApp(addSelection(OPENED, "box", { box: [0, 0, 9, 9], strokes: [{ points: POINTS, radius: 2, erase: false }] }));
  addClick(app, [5, 5]);
  assert.deepEqual([active(app).kind, active(app).include, active(app).strokes], ["box", [[5, 5]], []]);
});

test("a click on the same pixel is no step, unless it asks for a new object", () => {
  const app = fakeApp(clicked([5, 5]));
  const { doc } = app;
  addClick(app, [5, 5]);
  addClick(app, [5, 5], { exclude: true });
  assert.equal(app.doc, doc);
  addClick(app, [5, 5], { newObject: true });
  assert.equal(app.doc.selections.length, 2);
});

test("a part is excluded from the active object", () => {
  for (const [tool, options] of [["click", { exclude: true }], ["exclude", {}]]) {
    const app = fakeApp(clicked([1, 1]));
    app.tool = tool;
    addClick(app, [7, 7], options);
    assert.deepEqual([active(app).include, active(app).exclude], [[[1, 1]], [[7, 7]]]);
  }
});

test("where nothing can be excluded from, the user is told and nothing changes", () => {
  for (const doc of [OPENED, addSelection(OPENED, "brush", { strokes: [] })]) {
    const app = fakeApp(doc);
    addClick(app, [7, 7], { exclude: true });
    assert.equal(app.doc, doc);
    assert.equal(app.toasts.length, 1);
  }
});

test("a box is the same from whichever corner it is drawn", () => {
  const boxes = [[[1, 2], [30, 40]], [[30, 40], [1, 2]], [[1, 40], [30, 2]]].map(([from, to]) => {
    const app = fakeApp();
    addBox(app, from, to);
    return active(app).box;
  });
  for (const box of boxes) assert.deepEqual(box, [1, 2, 30, 40]);
});

test("a box of a pixel's width is no box", () => {
  const app = fakeApp();
  addBox(app, [5, 5], [6, 90]);
  assert.equal(app.doc.selections.length, 0);
});

// --- strokes ---------------------------------------------------------------------------------

test("a first stroke is an object, and a further one goes on with it", () => {
  const app = fakeApp();
  app.tool = "brush";
  addStroke(app, POINTS, 4);
  addStroke(app, POINTS, 6);
  assert.deepEqual(app.doc.selections.map(({ kind }) => kind), ["brush"]);
  assert.deepEqual(active(app).strokes, [4, 6].map((radius) => ({ points: POINTS, radius, erase: false })));
});

test("a stroke does not go to a selection of several objects", () => {
  const app = fakeApp(addSelection(OPENED, "find", { find: "text" }), [{ mask: "a" }, { mask: "b" }]);
  app.tool = "brush";
  addStroke(app, POINTS, 4);
  assert.deepEqual(app.doc.selections.map(({ kind, strokes }) => [kind, strokes.length]), [["find", 0], ["brush", 1]]);
});

test("Subtract takes from all objects, and does nothing without any", () => {
  const app = fakeApp(addSelection(clicked([1, 1]), "click", { include: [[9, 9]] }));
  app.tool = "subtract";
  addStroke(app, POINTS, 4);
  assert.deepEqual(app.doc.selections.map(({ strokes }) => strokes), Array(2).fill([{ points: POINTS, radius: 4, erase: true }]));
  app.doc = OPENED;
  addStroke(app, POINTS, 4);
  assert.equal(app.doc, OPENED);
});

// --- granularity -----------------------------------------------------------------------------

test("the wheel goes from part to whole and no further", () => {
  const app = fakeApp(clicked([1, 1]));
  const seen = [1, 1, -1, -1, -1].map((step) => (changeGranularity(app, step), active(app).granularity));
  assert.deepEqual(seen, ["whole", "whole", "object", "part", "part"]);
});

test("what a click selects cannot be set where there is no click", () => {
  const app = fakeApp(addSelection(OPENED, "box", { box: [0, 0, 9, 9] }));
  const { doc } = app;
  setGranularity(app, "whole");
  assert.equal(app.doc, doc);
});

// --- what may mend a result ------------------------------------------------------------------

test("each action changes what it names", () => {
  const doc = clicked([1, 1]);
  const action = { name: "", point: null, dilate: null, inpainter: null, seed: null, sentence: "" };
  assert.equal(mended(doc, { ...action, name: "take-shadow" }).refine.shadow, true);
  assert.equal(mended(doc, { ...action, dilate: 12 }).refine.dilate, "12px");
  assert.deepEqual(mended(doc, { ...action, point: [8, 9] }).selections[0].include, [[1, 1], [8, 9]]);
  assert.equal(mended(doc, { ...action, inpainter: "lama" }).inpainter, "lama");
  assert.equal(mended(doc, { ...action, seed: 3 }).fill.seed, 3);
  assert.equal(mended(doc, action), doc);
});
