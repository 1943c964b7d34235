import assert from "node:assert/strict";
import { test } from "node:test";
import { UNMOVED } from "../../segment2inpaint/web/static/document_state.js";
import { moved, pinched, rectangleOf, scaled, turnBetween, turned } from "../../segment2inpaint/web/static/placement_geometry.js";

const CENTER = [100, 80];

test("without a change a picture stands on the lower edge of the object's box", () => {
  assert.deepEqual(rectangleOf([100, 100, 160, 180], [20, 40], UNMOVED), { center: [130, 140], width: 40, height: 80, angle: 0 });
});

test("a picture that is not turned lies on whole pixels", () => {
  const placement = { ...UNMOVED, at: [50.3, 60.6] };
  for (const size of [[11, 7], [10, 8]]) {
    const { center, width, height } = rectangleOf([0, 0, 20, 20], size, placement);
    assert.ok(Number.isInteger(center[0] - width / 2) && Number.isInteger(center[1] - height / 2));
  }
  assert.deepEqual(rectangleOf([0, 0, 20, 20], [11, 7], { ...placement, angle: 5 }).center, [50.3, 60.6]);
});

test("a picture is at least a pixel large", () => {
  const { width, height } = rectangleOf([0, 0, 3, 3], [500, 2], { ...UNMOVED, scale: 0.01 });
  assert.deepEqual([width, height], [1, 1]);
});

test("moving keeps a tenth of a pixel and nothing finer", () => {
  assert.deepEqual(moved(UNMOVED, CENTER, 1.26, -0.04), { ...UNMOVED, at: [101.3, 80] });
});

test("scaling stays between the bounds of the server and keeps the centre", () => {
  assert.deepEqual(scaled(UNMOVED, CENTER, 1e9), { ...UNMOVED, at: CENTER, scale: 100 });
  assert.equal(scaled(UNMOVED, CENTER, 1e-9).scale, 0.01);
});

test("an angle stays between -180 and 180 degrees", () => {
  for (const [start, turn, expected] of [[170, 20, -170], [-170, -20, 170], [0, 720, 0], [0, -90, -90]])
    assert.equal(turned({ ...UNMOVED, angle: start }, CENTER, turn).angle, expected);
});

test("a quarter turn around a centre is 90 degrees, clockwise on the screen", () => {
  assert.equal(turnBetween(CENTER, [110, 80], [100, 95]), 90);
});

test("the point of a picture below each finger stays below it", () => {
  const [before, after] = [[[60, 50], [140, 90]], [[40, 130], [90, 20]]];
  const result = pinched(UNMOVED, CENTER, before, after);
  const turn = (result.angle * Math.PI) / 180;
  for (const [i, [x, y]] of before.entries()) {
    const [dx, dy] = [(x - CENTER[0]) * result.scale, (y - CENTER[1]) * result.scale];
    const now = [result.at[0] + dx * Math.cos(turn) - dy * Math.sin(turn), result.at[1] + dx * Math.sin(turn) + dy * Math.cos(turn)];
    assert.ok(Math.hypot(now[0] - after[i][0], now[1] - after[i][1]) < 0.3, `finger ${i} is at ${now}`);
  }
});

test("two fingers that only move do not scale or turn", () => {
  assert.deepEqual(pinched(UNMOVED, CENTER, [[0, 0], [10, 0]], [[7, 3], [17, 3]]), { ...UNMOVED, at: [107, 83] });
});
