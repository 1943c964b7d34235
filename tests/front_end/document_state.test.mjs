import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import {
  activeSelection, addSelection, buildRequest, changeSelection, EMPTY, History, removeSelection, UNMOVED, withPhoto,
} from "../../segment2inpaint/web/static/document_state.js";
import { fakeStorage, PHOTO } from "./fakes.mjs";

const OPENED = { ...EMPTY, photo: PHOTO };
const STROKE = { points: [[1, 2], [3, 4]], radius: 5, erase: false };
const masksOf = ({ id }) => [`mask ${id}`];
const click = (doc, ...include) => addSelection(doc, "click", { include });
const seeded = (seed) => ({ ...OPENED, fill: { ...EMPTY.fill, seed } });
let storage;

beforeEach(() => (storage = fakeStorage()));

/** A history of an opened photo and steps that differ by the seed. */
function historyOf(steps) {
  const history = new History();
  history.push(OPENED);
  for (let seed = 1; seed <= steps; seed++) history.push(seeded(seed));
  return history;
}

const seedOf = ({ doc }) => doc.fill.seed;

// --- the history -----------------------------------------------------------------------------

test("a step can be undone and redone", () => {
  const history = historyOf(2);
  history.move(-1);
  assert.equal(seedOf(history), 1);
  assert.ok(history.canRedo);
  history.move(1);
  assert.equal(seedOf(history), 2);
  assert.ok(!history.canRedo);
});

test("undo stops at the opened photo, and the page without a photo is no step", () => {
  const history = historyOf(1);
  assert.ok(history.canUndo);
  history.move(-1);
  assert.equal(history.doc, OPENED);
  assert.ok(!history.canUndo);
  history.move(-99);
  assert.equal(history.index, 0);
  history.move(99);
  assert.equal(seedOf(history), 1);
});

test("a step after an undo drops what was undone", () => {
  const history = historyOf(3);
  history.move(-2);
  history.push(seeded(9));
  assert.ok(!history.canRedo);
  history.move(-1);
  assert.equal(seedOf(history), 1);
});

test("amending changes the current step and adds none", () => {
  const history = historyOf(2);
  history.amend(seeded(7));
  assert.equal(seedOf(history), 7);
  history.move(-1);
  assert.equal(seedOf(history), 1);
});

test("a step that is dropped cannot be redone", () => {
  const history = historyOf(2);
  history.drop();
  assert.equal(seedOf(history), 1);
  assert.ok(!history.canRedo);
});

test("the history keeps the last sixty steps", () => {
  const history = historyOf(100);
  history.move(-1000);
  assert.equal(seedOf(history), 41);
});

test("the history survives a reload", () => {
  const history = new History();
  history.push(OPENED);
  history.push(addSelection(OPENED, "brush", { strokes: [STROKE] }));
  history.push(addSelection(history.doc, "brush", { strokes: [STROKE, { ...STROKE, erase: true }] }));
  history.move(-1);
  const reloaded = new History();
  assert.deepEqual(reloaded.docs, history.docs);
  assert.equal(reloaded.index, history.index);
});

test("storing a stroke again with each later step takes no room", () => {
  const long = { ...STROKE, points: Array.from({ length: 1000 }, (_, i) => [i, i / 10]) };
  const history = new History();
  history.push(addSelection(OPENED, "brush", { strokes: [long] }));
  const length = () => storage.items.get(history.key).length;
  const before = length();
  for (let seed = 1; seed <= 10; seed++) history.push({ ...history.doc, fill: { ...EMPTY.fill, seed } });
  assert.ok(length() - before < JSON.stringify(long).length);
});

test("a history that does not fit into the storage goes on without it", () => {
  storage = fakeStorage(2000);
  const history = historyOf(20);
  assert.equal(seedOf(history), 20);
  assert.equal(storage.items.size, 0);
});

test("a storage that holds something else is emptied", () => {
  for (const text of ["{", "null", "{}", "7"]) {
    storage.items.set("other", text);
    assert.deepEqual(new History("other").docs, [EMPTY]);
    assert.equal(storage.items.size, 0);
  }
});

test("histories of several photos do not share their storage", () => {
  const [one, other] = [new History("one"), new History("other")];
  one.push(seeded(1));
  other.push(seeded(2));
  other.moveTo("moved");
  assert.equal(seedOf(new History("one")), 1);
  assert.equal(seedOf(new History("moved")), 2);
  assert.deepEqual(new History("other").docs, [EMPTY]);
});

// --- selections ------------------------------------------------------------------------------

test("another photo keeps the choice of models and nothing else", () => {
  const doc = { ...click(seeded(3), [1, 1]), detector: "builtin", inpainter: "telea", verify: false, result: "r" };
  const other = { ...PHOTO, id: "p2" };
  assert.deepEqual(withPhoto(doc, other), { ...EMPTY, photo: other, detector: "builtin", inpainter: "telea", verify: false });
});

test("a new selection is the active one and has an id of its own", () => {
  const two = click(click(OPENED, [1, 1]), [2, 2]);
  assert.deepEqual(two.selections.map(({ id }) => id), [1, 2]);
  assert.equal(activeSelection(two)?.id, 2);
  const again = click(removeSelection(two, 1), [3, 3]);
  assert.deepEqual(again.selections.map(({ id }) => id), [2, 3]);
});

test("removing a selection makes the last one active", () => {
  const two = click(click(OPENED, [1, 1]), [2, 2]);
  assert.equal(removeSelection(two, 2).active, 1);
  assert.equal(removeSelection(removeSelection(two, 2), 1).active, 0);
});

test("a change of a selection leaves the document before as it was", () => {
  const before = click(click(OPENED, [1, 1]), [2, 2]);
  const after = changeSelection(before, 1, (s) => ({ ...s, include: [] }));
  assert.deepEqual(before.selections[0].include, [[1, 1]]);
  assert.deepEqual(after.selections[0].include, []);
  assert.equal(after.selections[1], before.selections[1]);
});

// --- the request -----------------------------------------------------------------------------

test("the request of a click says nothing that is the default", () => {
  assert.deepEqual(buildRequest(click(OPENED, [5, 6]), masksOf), { prompts: [{ points: { include: [[5, 6]] } }] });
});

test("what differs from the defaults is in the request", () => {
  const doc = {
    ...click(OPENED, [5, 6]), detector: "sam2.1-tiny", inpainter: "telea", verify: false,
    refine: { ...EMPTY.refine, dilate: "9px", shadow: false }, fill: { ...EMPTY.fill, seed: 4, candidates: 3 },
  };
  const { prompts, ...options } = buildRequest(doc, masksOf);
  assert.deepEqual(options, {
    refine: { dilate: "9px", shadow: false }, fill: { seed: 4, candidates: 3 },
    detector: "sam2.1-tiny", inpainter: "telea", verify: false,
  });
});

test("clicks come before boxes, whichever was first", () => {
  const doc = click(addSelection(OPENED, "box", { box: [10, 10, 20, 20] }), [5, 6]);
  assert.deepEqual(buildRequest(doc, masksOf).prompts, [{ points: { include: [[5, 6]] } }, { box: [10, 10, 20, 20] }]);
});

test("selections that would change each other's masks are sent as masks", () => {
  const masks = [{ mask: "mask 1" }, { mask: "mask 2" }];
  const box = addSelection(OPENED, "box", { box: [20, 20, 10, 10] }); // drawn from right to left
  const color = { at: [1, 1], tolerance: null, everywhere: false };
  const pairs = [
    click(box, [15, 15]),
    click(addSelection(OPENED, "brush", { strokes: [STROKE] }), [1, 1]),
    click(addSelection(OPENED, "color", { color }), [1, 1]),
    addSelection(addSelection(OPENED, "color", { color }), "color", { color: { ...color, tolerance: 9 } }),
  ];
  for (const doc of pairs) assert.deepEqual(buildRequest(doc, masksOf).prompts, masks);
  assert.deepEqual(Object.keys(buildRequest(click(box, [20, 20]), masksOf).prompts[0]), ["points"]); // beside the box
  assert.deepEqual(Object.keys(buildRequest(click(box, [15, 20]), masksOf).prompts[0]), ["points"]); // below it
});

test("a protected selection is no object", () => {
  const protect = (doc) => changeSelection(doc, doc.active, (s) => ({ ...s, protect: true }));
  const doc = protect(addSelection(protect(click(click(OPENED, [1, 1]), [2, 2])), "box", { box: [0, 0, 9, 9] }));
  assert.deepEqual(buildRequest(doc, masksOf), {
    prompts: [{ points: { include: [[1, 1]] } }],
    refine: { protect: [{ mask: "mask 2" }, { box: [0, 0, 9, 9] }] },
  });
});

test("a detector is not named for masks that others than clicks and boxes gave", () => {
  const brushed = addSelection(click(OPENED, [1, 1]), "brush", { strokes: [STROKE] });
  const clickAndBox = addSelection(click(OPENED, [1, 1]), "box", { box: [0, 0, 9, 9] }); // around the click
  for (const doc of [addSelection(OPENED, "find", { find: "text" }), brushed, clickAndBox])
    assert.equal(buildRequest({ ...doc, detector: "sam2.1-tiny" }, masksOf).detector, undefined);
});

test("what to paint is sent only where something is put in the object's place", () => {
  const fill = {
    ...EMPTY.fill, prompt: "a rose", guidance_scale: 0, picture: { id: "f1", name: "rose.png" },
    placement: { ...UNMOVED, angle: 30 }, cutout: true,
  };
  const doc = { ...click(OPENED, [1, 1]), fill };
  assert.equal(buildRequest(doc, masksOf).fill, undefined);
  assert.deepEqual(buildRequest({ ...doc, mode: "replace" }, masksOf).fill, {
    prompt: "a rose", guidance_scale: 0, picture: "f1", picture_cutout: true, picture_placement: { angle: 30 },
  });
});
