import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Tiles } from "../../segment2inpaint/web/static/tiles.js";
import { fakeServer, fakeStorage, settled } from "./fakes.mjs";

const tile = (column) => ({ path: "/photos/p1", query: "", level: 0, column, row: 0 });
const row = (...columns) => columns.map(tile);
const columnsOf = (calls) => calls.map(({ path }) => Number(path.split("/")[5]));
let calls;
let closed;

beforeEach(() => {
  fakeStorage();
  calls = fakeServer();
  closed = 0;
  globalThis.createImageBitmap = async () => ({ close: () => closed++ });
});

/** A cache of at most `room` tiles that holds those of some columns. */
async function cacheOf(room, ...columns) {
  const tiles = new Tiles(() => {}, room);
  for (const column of columns) {
    tiles.fetchOnly(row(column));
    calls.at(-1).answer({});
    await settled();
  }
  return tiles;
}

test("at most six tiles are fetched at once, the first first", () => {
  new Tiles(() => {}, 99).fetchOnly(row(9, 8, 7, 6, 5, 4, 3, 2));
  assert.deepEqual(columnsOf(calls), [9, 8, 7, 6, 5, 4]);
});

test("a tile that is there or on its way is not fetched again", async () => {
  const tiles = await cacheOf(99, 1);
  tiles.fetchOnly(row(1, 2));
  tiles.fetchOnly(row(1, 2));
  assert.deepEqual(columnsOf(calls), [1, 2]);
  assert.ok(tiles.get(tile(1)));
  assert.equal(tiles.get(tile(2)), undefined);
});

test("a tile that is no longer needed is not waited for", async () => {
  const tiles = new Tiles(() => {}, 99);
  tiles.fetchOnly(row(1, 2));
  tiles.fetchOnly(row(2, 3));
  assert.deepEqual(calls.map(({ isAborted }) => isAborted), [true, false, false]);
  await settled();
  tiles.fetchOnly(row(1));
  assert.deepEqual(columnsOf(calls), [1, 2, 3, 1]);
});

test("the tiles that were not used for the longest time are dropped", async () => {
  const tiles = await cacheOf(2, 1, 2);
  tiles.get(tile(1));
  tiles.fetchOnly(row(3));
  calls.at(-1).answer({});
  await settled();
  assert.deepEqual([1, 2, 3].map((column) => Boolean(tiles.get(tile(column)))), [true, false, true]);
  assert.equal(closed, 1);
});

test("a tile that failed is fetched again only on request", async () => {
  const tiles = new Tiles(() => {}, 99);
  tiles.fetchOnly(row(1));
  calls[0].fail(500);
  await settled();
  tiles.fetchOnly(row(1));
  assert.equal(calls.length, 1);
  tiles.retry();
  tiles.fetchOnly(row(1));
  assert.equal(calls.length, 2);
});

test("the page is told of each tile that arrives", async () => {
  let arrived = 0;
  const tiles = new Tiles(() => arrived++, 99);
  tiles.fetchOnly(row(1, 2));
  calls[1].answer({});
  await settled();
  assert.equal(arrived, 1);
});
