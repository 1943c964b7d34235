import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { View } from "../../segment2inpaint/web/static/view.js";
import { fakeServer, fakeStorage, PHOTO, settled } from "./fakes.mjs";

const LEVEL = 2; // at which the fitted photo is sharp on this canvas
let calls;
let drawn; // the addresses of the tiles that the last frame drew, in order
let view;

beforeEach(() => {
  fakeStorage();
  calls = fakeServer();
  drawn = [];
  globalThis.devicePixelRatio = 1;
  globalThis.matchMedia = () => ({ matches: false });
  globalThis.ResizeObserver = class { observe() {} };
  globalThis.requestAnimationFrame = (draw) => setTimeout(draw);
  globalThis.createImageBitmap = async (blob) => ({ address: JSON.parse(await blob.text()), close() {} });
  view = new View(fakeCanvas(), () => {});
});

function fakeCanvas() {
  const context = {
    drawImage: ({ address }) => drawn.push(address),
    clearRect: () => (drawn = []),
    ...Object.fromEntries(["setTransform", "fillRect", "save", "restore", "beginPath", "rect", "clip"].map((name) => [name, () => {}])),
  };
  return { clientWidth: 1000, clientHeight: 700, getContext: () => context };
}

/** Answer all calls for tiles that fit, and those that follow. @param {RegExp} address */
async function serve(address) {
  let open = [];
  do {
    for (const call of open) call.answer(call.path);
    for (const call of open) call.isAnswered = true;
    await settled();
    await settled();
    open = calls.filter((call) => !call.isAnswered && !call.isAborted && address.test(call.path));
  } while (open.length);
}

const levelsOf = (addresses) => [...new Set(addresses.map((address) => Number(/tiles\/(\d+)/.exec(address)[1])))];

test("coarse tiles stand in for sharp ones until all of those are there", async () => {
  view.show(PHOTO);
  await serve(/tiles\/(3|2\/0\/0)/);
  assert.deepEqual(levelsOf(drawn), [3, LEVEL]);
  await serve(/./);
  assert.deepEqual(levelsOf(drawn), [LEVEL]);
  assert.equal(drawn.length, new Set(drawn).size);
});

test("a closer look draws the tiles that are there, each once, and fetches the sharper ones", async () => {
  view.show(PHOTO);
  await serve(/./);
  view.zoom(4, 500, 350);
  await settled();
  await settled();
  assert.deepEqual(levelsOf(drawn), [3]);
  assert.equal(drawn.length, new Set(drawn).size);
  assert.ok(calls.some(({ path }) => path.includes("tiles/0/")));
});

test("the photo stays until the tiles of its result arrive", async () => {
  view.show(PHOTO);
  await serve(/./);
  view.after = { path: "/results/r1", query: "?candidate=0" };
  view.redraw();
  await serve(/^nothing/);
  assert.ok(drawn.length && drawn.every((address) => address.startsWith("/photos/p1/")));
  await serve(/./);
  assert.ok(drawn.length && drawn.every((address) => address.startsWith("/results/r1/")));
});
