// Where the names of landmarks are written beside their marks.
//
//   node --test labels.test.mjs
import assert from "node:assert/strict";
import { test } from "node:test";
import { layout } from "../../src/review/page/labels.js";

const ARM = 7, HIGH = 10, CANVAS = [800, 600];
const boxes = (marks) => layout(marks, CANVAS, ARM, HIGH).map(([left, base], i) => [left, base - HIGH, left + marks[i].width, base + HIGH / 4]);
const apart = (a, b) => a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];

test("a name alone is to the upper right of its mark, and to the left at the right edge", () => {
  assert.deepEqual(layout([{ at: [100, 100], width: 50 }], CANVAS, ARM, HIGH), [[110.5, 95.8]]);
  const [[left]] = layout([{ at: [790, 100], width: 50 }], CANVAS, ARM, HIGH);
  assert.equal(left + 50, 790 - 1.5 * ARM);
  const [[, base]] = layout([{ at: [100, 3], width: 50 }], CANVAS, ARM, HIGH);
  assert.ok(base - HIGH >= 0, "not above the canvas");
});

test("names of marks that are near each other do not overlap, nor cover the marks", () => {
  const marks = [[300, 300], [318, 306], [305, 322], [330, 290]].map((at) => ({ at, width: 70 }));
  const found = boxes(marks);
  for (const [i, box] of found.entries()) {
    for (const other of found.slice(i + 1)) assert.ok(apart(box, other), `${box} and ${other}`);
    for (const [j, { at: [x, y] }] of marks.entries()) if (i !== j) assert.ok(apart(box, [x - 1, y - 1, x + 1, y + 1]), `name ${i}, mark ${j}`);
  }
});

test("the first name keeps its place where there is room for one alone", () => {
  const marks = Array.from({ length: 30 }, () => ({ at: [400, 300], width: 90 }));
  const [first, ...others] = layout(marks, CANVAS, ARM, HIGH);
  assert.deepEqual(first, [410.5, 295.8]);
  assert.ok(others.every(([left, base]) => Number.isFinite(left) && Number.isFinite(base)));
});
