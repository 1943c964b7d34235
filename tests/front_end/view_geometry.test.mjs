import assert from "node:assert/strict";
import { test } from "node:test";
import { boxOfTile, fitted, panned, sharpLevel, tilesIn, zoomed } from "../../segment2inpaint/web/static/view_geometry.js";
import { PHOTO } from "./fakes.mjs";

const CANVAS = { width: 1000, height: 700 };
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-6, `${a} is not ${b}`);
const toPhoto = ({ x, y, scale }, cx, cy) => [(cx - x) / scale, (cy - y) / scale];

test("a fitted photo is whole, in the middle, with a margin", () => {
  const { x, y, scale } = fitted(PHOTO, CANVAS);
  near(y, 28);
  near(PHOTO.height * scale, CANVAS.height - 2 * 28);
  near(x, (CANVAS.width - PHOTO.width * scale) / 2);
});

test("the margin is narrow on a narrow canvas", () => {
  near(fitted(PHOTO, { width: 390, height: 700 }).x, 10);
});

test("a photo of a few pixels is enlarged at most eight times", () => {
  assert.equal(fitted({ width: 20, height: 10 }, CANVAS).scale, 8);
});

test("the pixel below the pointer stays there while one zooms", () => {
  let place = fitted(PHOTO, CANVAS);
  const before = toPhoto(place, 400, 300);
  for (const factor of [1.3, 2, 0.7, 5]) {
    place = zoomed(place, factor, 400, 300, PHOTO, CANVAS);
    const after = toPhoto(place, 400, 300);
    near(after[0], before[0]);
    near(after[1], before[1]);
  }
});

test("a zoom ends at 32 screen pixels for a pixel, and at a quarter of the fitted photo", () => {
  const place = fitted(PHOTO, CANVAS);
  assert.equal(zoomed(place, 1e6, 500, 350, PHOTO, CANVAS).scale, 32);
  near(zoomed(place, 1e-6, 500, 350, PHOTO, CANVAS).scale, 700 / 3000 / 4);
  assert.equal(zoomed({ x: 0, y: 0, scale: 1 }, 1e-6, 0, 0, { width: 20, height: 20 }, CANVAS).scale, 1);
});

test("a photo cannot be moved off the canvas", () => {
  const place = fitted(PHOTO, CANVAS);
  const [width, height] = [PHOTO.width * place.scale, PHOTO.height * place.scale];
  for (const far of [-1e5, 1e5]) {
    const { x, y } = panned(place, far, far, PHOTO, CANVAS);
    near(far < 0 ? x + width : CANVAS.width - x, 60);
    near(far < 0 ? y + height : CANVAS.height - y, 60);
  }
});

test("a movement within the canvas is as long as that of the pointer", () => {
  const place = fitted(PHOTO, CANVAS);
  const { x, y, scale } = panned(place, 12, -7, PHOTO, CANVAS);
  near(x, place.x + 12);
  near(y, place.y - 7);
  assert.equal(scale, place.scale);
});

test("the drawn level has at least a pixel for each pixel of the screen, and less than four", () => {
  for (const scale of [3, 1, 0.9, 0.5, 0.3, 0.25, 0.1]) {
    const level = sharpLevel(9, scale);
    assert.ok(2 ** level * scale <= 1.01 || level === 0);
    assert.ok(2 ** (level + 1) * scale > 1);
  }
  assert.equal(sharpLevel(2, 0.001), 2);
});

test("the tiles of a level cover the photo once", () => {
  for (let level = 0; level <= PHOTO.levels; level++) {
    const boxes = tilesIn(PHOTO, level, [0, 0, PHOTO.width, PHOTO.height]).map((tile) => boxOfTile(PHOTO, tile));
    const area = boxes.reduce((sum, [x0, y0, x1, y1]) => sum + (x1 - x0) * (y1 - y0), 0);
    assert.equal(area, PHOTO.width * PHOTO.height);
    assert.equal(new Set(boxes.map(String)).size, boxes.length);
  }
});

test("exactly the tiles that touch a part of the photo are needed", () => {
  const parts = [[0, 0, 1, 1], [600, 700, 1800, 1100], [-900, -50, 100, 9000], [3990, 2990, 9999, 9999], [511.5, 0, 511.9, 3]];
  for (const part of parts) {
    const touched = tilesIn(PHOTO, 0, [0, 0, PHOTO.width, PHOTO.height]).filter((tile) => {
      const [x0, y0, x1, y1] = boxOfTile(PHOTO, tile);
      return x0 <= part[2] && y0 <= part[3] && x1 > part[0] && y1 > part[1];
    });
    assert.deepEqual(tilesIn(PHOTO, 0, part), touched);
    assert.ok(touched.length > 0);
  }
  assert.deepEqual(tilesIn(PHOTO, 0, [-50, -50, -10, -10]), []);
});
