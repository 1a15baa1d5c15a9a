// Where the names of landmarks are written, so that few of them overlap.

const overlap = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));

// The left end of each name's baseline. `marks` are `{ at: [x, y], width }`, the first ones are placed first; `canvas` is `[width, height]`,
// `arm` that of a cross and `high` the height of the letters, all in pixels of the canvas. Each name is beside its mark, on the side where it
// covers the least of other names, crosses and what is beyond the canvas; without any, to the upper right.
export function layout(marks, [right, bottom], arm, high) {
  const crosses = marks.map(({ at: [x, y] }) => ({ left: x - arm, top: y - arm, right: x + arm, bottom: y + arm }));
  const names = [];
  return marks.map(({ at: [x, y], width }, own) => {
    const sides = [[x + 1.5 * arm, y - 0.6 * arm], [x - 1.5 * arm - width, y - 0.6 * arm], [x + 1.5 * arm, y + 0.6 * arm + high], [x - 1.5 * arm - width, y + 0.6 * arm + high], [x - width / 2, y - 1.6 * arm], [x - width / 2, y + 1.6 * arm + high]];
    let best = null;
    for (const at of sides) {
      const box = { left: at[0], top: at[1] - high, right: at[0] + width, bottom: at[1] + 0.25 * high };
      const area = (box.right - box.left) * (box.bottom - box.top);
      const seen = overlap(box, { left: 0, top: 0, right, bottom });
      const covered = [...names, ...crosses.filter((_, other) => other !== own)].reduce((sum, other) => sum + overlap(box, other), 2 * (area - seen));
      if (!best || covered < best.covered - 1e-6) best = { at, box, covered };
    }
    names.push(best.box);
    return best.at;
  });
}
