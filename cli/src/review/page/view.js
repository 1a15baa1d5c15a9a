// The image on a canvas: pixels in grey, a view onto them, landmarks over it, a magnifier.
import { ask } from "./api.js";
import { layout } from "./labels.js";
import { edit, image, isWanted, model, placeOf, presenceOf, record } from "./model.js";
import * as second from "./second.js";

const canvas = document.getElementById("canvas");
const context = canvas.getContext("2d", { alpha: false });
const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(name).trim();

// Grey levels of the image, and the canvas that holds them windowed; one pixel of it is `step` pixels of the image.
let levels = null, picture = null, step = 1, size = [1, 1], sha256 = null;
// Pixels of the canvas for a pixel of the image, and where the centre of the view is.
let scale = 1, centre = [0, 0];
// Window and level in percent of the window that infomark reads, and how far they go: over all that the file holds.
export const grey = { window: 100, level: 50, most: 100, from: 0, to: 100 };
let read = [0, 1];
// A point that is dragged, at its place under the pointer.
let drag = null, pointer = null, frame = 0;
// Whether keys were used last, rather than a pointer.
let keys = false;
export function keyed() { keys = true; draw(); }
let told = () => {}, greyed = () => {}, next = () => null;
export const onTold = (listener) => { told = listener; };

const ratio = () => devicePixelRatio || 1;
export const toScreen = ([x, y]) => [(x - centre[0]) * scale + canvas.width / 2, (y - centre[1]) * scale + canvas.height / 2];
const toImage = ([x, y]) => [(x - canvas.width / 2) / scale + centre[0], (y - canvas.height / 2) / scale + centre[1]];
const onCanvas = (event) => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * ratio(), (event.clientY - box.top) * ratio()];
};
const within = ([x, y]) => [Math.min(Math.max(x, -0.5), size[0] - 0.5), Math.min(Math.max(y, -0.5), size[1] - 0.5)];
const rounded = ([x, y]) => within([Math.round(x * 1000) / 1000, Math.round(y * 1000) / 1000]);

let asked = 0;
export async function show() {
  const turn = ++asked;
  const { id } = image();
  levels = picture = sha256 = null;
  draw();
  const response = await ask(`images/${id}/pixels`);
  const bytes = await response.arrayBuffer();
  if (turn !== asked) return null;
  levels = new Uint16Array(bytes);
  step = Number(response.headers.get("x-step"));
  size = response.headers.get("x-image").split("x").map(Number);
  picture = new OffscreenCanvas(Number(response.headers.get("x-width")), Number(response.headers.get("x-height")));
  reduce();
  const before = shape;
  shape = `${response.headers.get("x-image")} ${id}`;
  sha256 = response.headers.get("x-sha256");
  read = response.headers.get("x-window").split(",").map(Number);
  const width = read[1] - read[0];
  grey.most = Math.max(100 / width, 101);
  [grey.from, grey.to] = [(-read[0] / width) * 100, ((1 - read[0]) / width) * 100];
  grey.window = Math.min(grey.window, grey.most);
  grey.level = Math.min(Math.max(grey.level, grey.from), grey.to);
  greyed();
  if (shape !== before) fit();
  return sha256;
}
let shape = null;
export const hash = () => sha256;

// Applies window and level: to the reduced picture at once, to the whole one where it is seen, and to the rest when nothing moves.
export function windowed() {
  if (!picture) return;
  const low = grey.level - grey.window / 2, of = 65535 * (read[1] - read[0]);
  for (let value = 0; value < 65536; value++) {
    const share = ((value - 65535 * read[0]) / of) * 100;
    const light = Math.min(Math.max(((share - low) / grey.window) * 255, 0), 255) + 0.5 | 0;
    table[value] = 0xff000000 | (light << 16) | (light << 8) | light;
  }
  if (reduced) fill(reduced, [0, 0, reduced.canvas.width, reduced.canvas.height]);
  isStale = true;
  clearTimeout(idle);
  if (picture.width * picture.height <= FEW) whole();
  else idle = setTimeout(whole, 120);
  draw();
}
const table = new Uint32Array(65536);
// Whether parts of the picture have an older window.
let isStale = false, idle = 0;
function whole() {
  if (!picture) return;
  fill({ canvas: picture, levels }, [0, 0, picture.width, picture.height]);
  isStale = false;
  draw();
}
// Grey levels of a part, `[left, top, width, height]`, onto the canvas that shows them.
function fill({ canvas, levels }, [left, top, width, height]) {
  const inside = canvas.getContext("2d");
  const data = inside.createImageData(width, height);
  const pixels = new Uint32Array(data.data.buffer);
  for (let y = 0, i = 0; y < height; y++) {
    for (let from = (top + y) * canvas.width + left, end = from + width; from < end; from++, i++) pixels[i] = table[levels[from]];
  }
  inside.putImageData(data, left, top);
}
// The picture for images whose pixels are smaller than those of the screen: means of squares of `by` pixels.
function reduce() {
  const by = Math.ceil(Math.max(picture.width, picture.height) / SMALL);
  reduced = null;
  if (by === 1) return;
  const width = Math.ceil(picture.width / by), height = Math.ceil(picture.height / by);
  const sums = new Float32Array(width * height), counts = new Float32Array(width * height);
  for (let y = 0, i = 0; y < picture.height; y++) {
    const row = Math.floor(y / by) * width;
    for (let x = 0; x < picture.width; x++, i++) {
      const cell = row + Math.floor(x / by);
      sums[cell] += levels[i];
      counts[cell] += 1;
    }
  }
  reduced = { by, canvas: new OffscreenCanvas(width, height), levels: Uint16Array.from(sums, (sum, cell) => Math.round(sum / counts[cell])) };
}
let reduced = null;
// Longest side of the reduced picture, and pixels that are windowed within a frame.
const SMALL = 1600, FEW = 2e6;

// Draws the picture; `place` maps pixels of the image to those of `onto`, `scale` is that of one pixel.
function drawPicture(onto, [width, height], place, scale) {
  const [left, top] = place([-0.5, -0.5]), unit = step * scale;
  onto.imageSmoothingEnabled = scale < 6;
  let part = null;
  if (isStale) {
    const first = (at, most) => Math.min(Math.max(Math.floor(-at / unit) - 1, 0), most);
    const last = (at, end, most) => Math.min(Math.max(Math.ceil((end - at) / unit) + 1, 0), most);
    const [x, y] = [first(left, picture.width), first(top, picture.height)];
    part = [x, y, last(left, width, picture.width) - x, last(top, height, picture.height) - y];
  }
  if (reduced && (unit * reduced.by <= 1 || (part && part[2] * part[3] > FEW))) {
    // Its last column and row may stand for less than a square.
    const size = [picture.width, picture.height];
    onto.drawImage(reduced.canvas, 0, 0, ...size.map((side) => side / reduced.by), left, top, ...size.map((side) => side * unit));
    return;
  }
  if (part && part[2] > 0 && part[3] > 0) fill({ canvas: picture, levels }, part);
  onto.drawImage(picture, left, top, picture.width * unit, picture.height * unit);
}

export function fit() {
  scale = Math.min(canvas.width / size[0], canvas.height / size[1]) || 1;
  centre = [(size[0] - 1) / 2, (size[1] - 1) / 2];
  draw();
}
export function zoom(factor, at = [canvas.width / 2, canvas.height / 2]) {
  const fixed = toImage(at);
  const least = Math.min(canvas.width / size[0], canvas.height / size[1]) / 4;
  scale = Math.min(Math.max(scale * factor, least), 64 * ratio());
  const moved = toImage(at);
  centre = within([centre[0] + fixed[0] - moved[0], centre[1] + fixed[1] - moved[1]]);
  draw();
}
// Moves the view by pixels of the screen.
export function pan(x, y) {
  centre = within([centre[0] + (x * ratio()) / scale, centre[1] + (y * ratio()) / scale]);
  draw();
}
export const ready = () => picture !== null;
export const middle = () => rounded(centre);
// Moves the chosen point by pixels of the screen.
export function nudge(x, y) {
  const at = drag?.at ?? placeOf();
  if (at) edit([{ landmark: model.chosen, at: rounded([at[0] + (x * ratio()) / scale, at[1] + (y * ratio()) / scale]) }]);
}
// The point that is dragged, with its place under the pointer.
export const dragging = () => drag && { landmark: drag.landmark, at: drag.at };
// Brings the chosen point into sight.
export function reveal() {
  const at = placeOf();
  if (!at) return draw();
  const [x, y] = toScreen(at);
  if (x < 0 || y < 0 || x > canvas.width || y > canvas.height) centre = at;
  draw();
}

export function draw() {
  frame ||= requestAnimationFrame(render);
}
function render() {
  cancelAnimationFrame(frame);
  frame = 0;
  paint(context, canvas.width, canvas.height, toScreen, scale);
  reticle();
  magnify();
  tell();
}

function paint(onto, width, height, place, scale) {
  onto.setTransform(1, 0, 0, 1, 0, 0);
  onto.fillStyle = "#000";
  onto.fillRect(0, 0, width, height);
  if (!picture) return;
  drawPicture(onto, [width, height], place, scale);
  marks(onto, place);
}

// Shapes tell apart what colours do: a cross was found, a ring was placed by a person, a diamond is not visible, dashes are doubtful.
function marks(onto, place) {
  const arm = 7 * ratio();
  onto.font = `${12 * ratio()}px system-ui, sans-serif`;
  const { points } = record();
  const named = [];
  others(onto, place, arm);
  for (const landmark of model.setup.names) {
    const point = points[landmark];
    const at = drag?.landmark === landmark ? drag.at : placeOf(landmark);
    if (!at) continue;
    const [x, y] = place(at);
    const byHand = isWanted(landmark) || point?.by === "hand" || point?.by === "file" || drag?.landmark === landmark;
    const path = new Path2D();
    path.moveTo(x - arm, y); path.lineTo(x + arm, y);
    path.moveTo(x, y - arm); path.lineTo(x, y + arm);
    if (byHand) { path.moveTo(x + arm * 0.6, y); path.arc(x, y, arm * 0.6, 0, 7); }
    if (presenceOf(landmark) === "occluded") {
      path.moveTo(x + arm, y); path.lineTo(x, y + arm); path.lineTo(x - arm, y); path.lineTo(x, y - arm); path.closePath();
    }
    const doubtful = !byHand && point.found?.abstain;
    onto.setLineDash(doubtful ? [3 * ratio(), 2 * ratio()] : []);
    onto.strokeStyle = "#000"; onto.lineWidth = 4 * ratio(); onto.stroke(path);
    onto.strokeStyle = colour(byHand ? "--truth" : "--found"); onto.lineWidth = 1.6 * ratio(); onto.stroke(path);
    onto.setLineDash([]);
    if (landmark === model.chosen) {
      onto.strokeStyle = "#000"; onto.lineWidth = 4 * ratio(); onto.strokeRect(x - arm * 1.4, y - arm * 1.4, arm * 2.8, arm * 2.8);
      onto.strokeStyle = "#fff"; onto.lineWidth = 1.6 * ratio(); onto.strokeRect(x - arm * 1.4, y - arm * 1.4, arm * 2.8, arm * 2.8);
    }
    named.push({ landmark, at: [x, y], width: onto.measureText(landmark).width });
  }
  named.sort((a, b) => (b.landmark === model.chosen) - (a.landmark === model.chosen));
  onto.lineWidth = 3 * ratio(); onto.strokeStyle = "#000"; onto.fillStyle = "#fff";
  layout(named, [canvas.width, canvas.height], arm, 10 * ratio()).forEach(([left, base], index) => {
    onto.strokeText(named[index].landmark, left, base);
    onto.fillText(named[index].landmark, left, base);
  });
}

// The second reader's points: a saltire, with a line to the own point.
function others(onto, place, arm) {
  for (const landmark of model.setup.names) {
    const there = second.placeOf(landmark);
    if (!there) continue;
    const [x, y] = place(there), cut = arm * 0.6;
    const own = drag?.landmark === landmark ? drag.at : placeOf(landmark);
    const path = new Path2D();
    for (const turn of [1, -1]) { path.moveTo(x - cut, y - cut * turn); path.lineTo(x + cut, y + cut * turn); }
    if (own) { path.moveTo(x, y); path.lineTo(...place(own)); }
    outlined(onto, path, colour("--second"));
  }
}

// A line with a dark edge, seen on any grey.
function outlined(onto, path, colour) {
  onto.strokeStyle = "#000"; onto.lineWidth = 4 * ratio(); onto.stroke(path);
  onto.strokeStyle = colour; onto.lineWidth = 1.6 * ratio(); onto.stroke(path);
}

// With keys, Enter places in the middle, which is marked.
const keying = () => keys && picture && document.activeElement === canvas;
function reticle() {
  const landmark = keying() && next();
  if (!landmark) return;
  const [x, y] = toScreen(centre), gap = 5 * ratio(), arm = 26 * ratio();
  const path = new Path2D();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { path.moveTo(x + dx * gap, y + dy * gap); path.lineTo(x + dx * arm, y + dy * arm); }
  outlined(context, path, "#fff");
  context.font = `${12 * ratio()}px system-ui, sans-serif`;
  context.lineWidth = 3 * ratio(); context.strokeStyle = "#000"; context.fillStyle = "#fff";
  context.strokeText(`Enter: ${landmark}`, x + gap * 2, y + arm);
  context.fillText(`Enter: ${landmark}`, x + gap * 2, y + arm);
}

const glass = new OffscreenCanvas(1, 1);
// What is around the pointer, or around what keys move, four times as large, in the corner that is farther away.
function magnify() {
  const keyed = keying() && (placeOf() ?? (next() ? centre : null));
  const near = keyed || (pointer && (drag || model.chosen) && (drag?.at ?? toImage(pointer)));
  if (!near || !picture || !document.getElementById("magnify").checked) return;
  const side = Math.round(Math.min(180 * ratio(), canvas.width / 3));
  const at = near, large = Math.max(scale * 4, 2 * ratio());
  glass.width = glass.height = side;
  const onto = glass.getContext("2d");
  const place = ([x, y]) => [(x - at[0]) * large + side / 2, (y - at[1]) * large + side / 2];
  onto.fillRect(0, 0, side, side);
  drawPicture(onto, [side, side], place, large);
  onto.strokeStyle = "#fff"; onto.lineWidth = 1;
  onto.beginPath();
  onto.moveTo(side / 2, 0); onto.lineTo(side / 2, side * 0.42); onto.moveTo(side / 2, side * 0.58); onto.lineTo(side / 2, side);
  onto.moveTo(0, side / 2); onto.lineTo(side * 0.42, side / 2); onto.moveTo(side * 0.58, side / 2); onto.lineTo(side, side / 2);
  onto.stroke();
  const left2 = toScreen(at)[0] > canvas.width / 2 ? 8 : canvas.width - side - 8;
  context.drawImage(glass, left2, 8);
  context.strokeStyle = "#fff"; context.lineWidth = 2; context.strokeRect(left2, 8, side, side);
}

function tell() {
  const at = drag?.at ?? (keying() ? placeOf() ?? centre : pointer && picture ? toImage(pointer) : placeOf());
  told(at ?? null, picture && Math.round((scale / ratio()) * 100));
}

const nearest = (at, radius) => {
  const near = (landmark) => {
    const place = placeOf(landmark);
    if (!place) return Infinity;
    const [x, y] = toScreen(place);
    return Math.hypot(x - at[0], y - at[1]);
  };
  const best = model.setup.names.map((landmark) => [near(landmark), landmark]).sort((a, b) => a[0] - b[0])[0];
  return best && best[0] < radius * ratio() ? best[1] : null;
};

let hold = null;
// Pointers that are down, by their ids: two fingers zoom.
const down = new Map();
function pinch(before) {
  const [a, b] = [...down.values()], [c, d] = before;
  const middle = (p, q) => [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
  const apart = (p, q) => Math.max(Math.hypot(p[0] - q[0], p[1] - q[1]), 1);
  const [to, from] = [middle(a, b), middle(c, d)];
  pan((from[0] - to[0]) / ratio(), (from[1] - to[1]) / ratio());
  zoom(apart(a, b) / apart(c, d), to);
}
// `choose` chooses a landmark, `placed` handles a click where none is, `window` a new window, `next` says what Enter places.
export function listen({ choose, placed, window: told, next: what }) {
  [greyed, next] = [told, what];
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => { keys ||= name === "focus" && !hold; draw(); });
  canvas.addEventListener("pointerdown", (event) => {
    keys = false;
    if (!picture) return;
    canvas.setPointerCapture(event.pointerId);
    const at = onCanvas(event);
    down.set(event.pointerId, at);
    if (down.size > 1) {
      // A second finger: nothing is placed or moved.
      drag = null;
      hold = { at, last: at, moved: true, button: 1 };
      return;
    }
    hold = { at, last: at, moved: false, button: event.button };
    if (event.button === 0) {
      // While a landmark waits for its place, a click close beside another point places it; fingers are less exact.
      const landmark = nearest(at, next() && event.pointerType === "mouse" ? 6 : 14);
      if (landmark) {
        choose(landmark);
        const place = placeOf(landmark);
        drag = { landmark, at: place, offset: toScreen(place).map((value, i) => value - at[i]) };
      }
    }
  });
  canvas.addEventListener("pointermove", (event) => {
    keys = false;
    pointer = onCanvas(event);
    const before = [...down.values()];
    if (down.has(event.pointerId)) down.set(event.pointerId, pointer);
    if (down.size === 2) pinch(before);
    else if (hold) {
      const [x, y] = [pointer[0] - hold.last[0], pointer[1] - hold.last[1]];
      if (Math.hypot(pointer[0] - hold.at[0], pointer[1] - hold.at[1]) > 3 * ratio()) hold.moved = true;
      if (hold.moved) {
        if (hold.button === 2) {
          grey.window = Math.min(Math.max(grey.window * Math.exp(x / (200 * ratio())), 1), grey.most);
          grey.level = Math.min(Math.max(grey.level + (y * grey.window) / (500 * ratio()), grey.from), grey.to);
          greyed();
          hold.last = pointer;
        } else if (drag) {
          drag.at = rounded(toImage([pointer[0] + drag.offset[0], pointer[1] + drag.offset[1]]));
        } else {
          pan(-x / ratio(), -y / ratio());
          hold.last = pointer;
        }
      }
    }
    draw();
  });
  const release = (event) => {
    down.delete(event.pointerId);
    // The finger that is left moves the image.
    if (down.size) {
      hold = { at: [...down.values()][0], last: [...down.values()][0], moved: true, button: 1 };
      return;
    }
    const held = hold, dragged = drag;
    hold = drag = null;
    if (held?.moved && dragged && event.type === "pointerup") edit([{ landmark: dragged.landmark, at: dragged.at }]);
    const at = toImage(onCanvas(event)), inside = within(at).every((value, i) => value === at[i]);
    if (held && !held.moved && held.button === 0 && !dragged && inside && event.type === "pointerup") placed(rounded(at));
    draw();
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => { pointer = null; draw(); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-Math.sign(event.deltaY) * 0.18), onCanvas(event));
  }, { passive: false });
  new ResizeObserver(() => {
    const box = canvas.getBoundingClientRect();
    const whole = canvas.width === 300 || Math.abs(scale - Math.min(canvas.width / size[0], canvas.height / size[1])) < 1e-9;
    canvas.width = Math.max(Math.round(box.width * ratio()), 1);
    canvas.height = Math.max(Math.round(box.height * ratio()), 1);
    if (whole) fit();
    // A new size has emptied the canvas: painted within the same frame.
    render();
  }).observe(canvas);
}
