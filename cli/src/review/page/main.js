// The page of `infomark review`: what its buttons and keys do.
import { ask } from "./api.js";
import * as files from "./files.js";
import * as history from "./history.js";
import * as learning from "./learning.js";
import * as lists from "./lists.js";
import * as pictures from "./pictures.js";
import * as scheme from "./scheme.js";
import * as second from "./second.js";
import { changed, decide, edit, image, isAbsent, isWanted, model, onChange, onComplaint, order, placeOf, presenceOf, record, redo, replaced, setup, spot, sync, undo } from "./model.js";
import * as view from "./view.js";

const by = (id) => document.getElementById(id);
const canvas = by("canvas");

// Whether the alert says that something else is under way: it goes when that ends. What was done last when the notice was shown: it goes with the
// next thing that is done.
let waits = false, told = null;
function complain(error) {
  by("alert-text").textContent = error.message;
  by("alert").hidden = false;
  waits = model.job.running && error.message.startsWith("something is under way");
}
onComplaint(complain);
function tell(text) {
  by("notice-text").textContent = text;
  by("notice").hidden = !text;
  told = history.last();
}
function forget() {
  if (waits && !model.job.running) {
    by("alert").hidden = true;
    waits = false;
  }
  if (!model.pending && told !== history.last()) by("notice").hidden = true;
}
for (const id of ["alert", "notice"]) by(`${id}-close`).addEventListener("click", () => { by(id).hidden = true; });

// The image that is shown, and the hash that the list told of it.
let drawn = null, listed = null;
// The image that was shown before it.
let before = null;
async function open(id) {
  if (!model.images.some((image) => image.id === id)) return;
  const other = id !== drawn;
  if (other) before = drawn;
  model.current = drawn = id;
  // Each image begins with its first landmark, whatever was placed last in the one before.
  if (other && model.chosen && !placeOf()) model.chosen = model.setup.names.find(isOpen) ?? null;
  listed = image().sha256;
  changed();
  if (image().error) complain(new Error(image().error));
  try {
    const hash = await view.show();
    if (hash && replaced(image(), hash)) complain(new Error(`${image().name} was replaced since its points were placed. Look whether they still fit, move those that do not, and accept it: then they are points of the new image.`));
  } catch (error) {
    complain(error);
    await sync().catch(() => {});
  }
}
function choose(name) {
  model.chosen = name;
  changed();
  view.reveal();
}
const step = (list, current, by) => list[list.indexOf(current) + by];
const landmark = (by_) => {
  const { names } = model.setup;
  const next = model.chosen ? step(names, model.chosen, by_) : names[by_ > 0 ? 0 : names.length - 1];
  if (next) choose(next);
  return Boolean(next);
};
const neighbour = (by_) => {
  const ids = lists.shown().map(({ id }) => id);
  const next = ids.includes(model.current) ? step(ids, model.current, by_) : ids[0];
  if (next) open(next);
};
// The landmark that gets a place next: the chosen one, or the first that has none. One that has a place stays there, as a click too many
// would move it otherwise. None where a new one has to be made for it.
const isOpen = (name) => !placeOf(name) && !isAbsent(name);
const nextToPlace = () => (model.chosen && !placeOf() ? model.chosen : model.setup.names.find(isOpen));
// Whether the list of landmarks is the one that was wanted: a click too many must not add to it, for all images.
const isComplete = () => model.fixed.length > 0 || scheme.given() || model.setup.names.length > 0 && Object.entries(model.records).some(([name, { decision, points }]) =>
  decision === "accepted" || (name !== image()?.name && Object.values(points).some(({ at }) => at)));
// Clicks that come faster than names can be made wait for each other.
let placing = Promise.resolve();
const place = (at) => {
  const { current } = model;
  placing = placing.then(() => model.current === current && placeNow(at)).catch(complain);
};
async function placeNow(at) {
  if (!view.ready()) return;
  const free = nextToPlace();
  if (free) model.chosen = free;
  else if (isComplete()) {
    tell("All landmarks are placed in this image. Add another below the list of landmarks.");
    return;
  } else {
    let number = model.setup.names.length + 1;
    while (model.setup.names.includes(`point ${number}`)) number += 1;
    await add(`point ${number}`);
  }
  const name = model.chosen;
  if (!name || placeOf(name)) return;
  edit([{ landmark: name, at }]);
  goOn(name);
}
// On to the next one that has no place.
function goOn(name) {
  const { names } = model.setup;
  const rest = names.slice(names.indexOf(name) + 1).find(isOpen);
  if (document.activeElement === canvas && rest) choose(rest);
}
async function add(name) {
  await setup({ add: { name } });
  // Several that are added one after the other are placed in their order.
  if (model.setup.names.includes(name)) choose((image() && model.setup.names.find(isOpen)) || name);
}
let deciding = false;
async function decided(to) {
  if (!image() || deciding) return;
  deciding = true;
  try {
    await decideAndGoOn(to);
  } finally {
    deciding = false;
  }
}
async function decideAndGoOn(to) {
  const before = lists.shown().map(({ id }) => id);
  const { id, name } = image();
  await decide(to);
  const { points, decision } = record(name);
  const corrected = Object.values(points).some(({ at, by }) => at && by !== "match");
  if (to === "accepted" && decision === to && corrected) {
    again ||= by("at-once").checked && !by("at-once").disabled;
    learning.corrected();
  }
  // On to the next image that is open.
  if (decision !== to || model.current !== id) return;
  const at = before.indexOf(id);
  const next = [...before.slice(at + 1), ...before.slice(0, Math.max(at, 0))].find((other) => {
    const known = model.images.find((image) => image.id === other);
    return known && !known.error && record(known.name).decision === "open";
  });
  if (next) open(next);
}
// Whether to match the rest again as soon as nothing is under way.
let again = false;
function matchAgain() {
  if (!again || model.job.running || !model.model) return;
  again = false;
  order("match");
}
const clear = () => placeOf() && edit([{ landmark: model.chosen, at: null }]);
const occluded = () => {
  const at = placeOf();
  if (at) edit([{ landmark: model.chosen, at, presence: presenceOf() === "occluded" ? "visible" : "occluded" }]);
};
const absent = () => {
  const { chosen } = model;
  if (!chosen || !image()) return;
  const key = JSON.stringify([image().name, chosen]);
  if (isAbsent()) {
    // Back to where it was, or where it was found.
    const at = wasAt.get(key), { found } = spot() ?? {};
    if (at) edit([{ landmark: chosen, ...at }]);
    else edit([found ? { landmark: chosen, at: found.at, by: "match" } : { landmark: chosen, at: null, presence: "visible" }]);
    return;
  }
  const state = spot()?.by === "match" && !isWanted(chosen) ? { by: "match" } : { presence: presenceOf() };
  wasAt.delete(key);
  if (placeOf()) wasAt.set(key, { at: placeOf(), ...state });
  edit([{ landmark: chosen, at: null, presence: "absent" }]);
  goOn(chosen);
};
// Where landmarks were before they were said to be absent.
const wasAt = new Map();
// Takes the points of the image that was shown before, or of the one before in the list, for the landmarks that have none, where they are in parts
// of the image.
const sources = () => {
  const ids = lists.shown().map(({ id }) => id);
  return [before, ids[ids.indexOf(model.current) - 1]].map((id) => model.images.find((image) => image.id === id)).filter(Boolean);
};
const copy = () => {
  const here = image();
  if (!here || !view.ready()) return;
  const given = (from) => model.setup.names.filter((name) => isOpen(name) && placeOf(name, from.name));
  const from = sources().find((other) => given(other).length) ?? sources()[0];
  if (!from) return;
  const edits = given(from).map((landmark) => {
    const size = (known, i) => known.size?.[i] ?? here.size[i];
    const at = placeOf(landmark, from.name).map((value, i) => (from.size && here.size ? ((value + 0.5) * size(here, i)) / size(from, i) - 0.5 : value));
    return { landmark, at, presence: presenceOf(landmark, from.name) };
  });
  if (edits.length) edit(edits);
  else tell(`${from.name} has no point of a landmark that is open here.`);
};
const giveBack = () => spot()?.found && edit([{ landmark: model.chosen, at: spot().found.at, by: "match" }]);

const click = (id, action) => by(id).addEventListener("click", action);
click("in", () => view.zoom(1.4));
click("out", () => view.zoom(1 / 1.4));
click("fit", view.fit);
click("undo", undo);
click("redo", redo);
click("accept", () => decided("accepted"));
click("reject", () => decided("rejected"));
click("match", () => order("match"));
click("suggest", () => order("suggest"));
click("stop", () => ask("stop", {}).catch(complain));
click("use-template", () => setup({ template: { image: model.current } }));
click("clear", clear);
click("occluded", occluded);
click("absent", absent);
click("give-back", giveBack);
click("copy", copy);
click("help", () => by("keys").showModal());
click("naming-close", () => by("naming").close());
click("remove", () => {
  const name = model.chosen;
  setup({ remove: { name } }).then(() => { if (!model.setup.names.includes(name)) tell(`${name} is removed from the list, with its points in all images. Undo brings it back.`); });
});
click("rename", () => {
  by("naming-name").value = model.chosen;
  by("naming").showModal();
  by("naming-name").select();
});
by("naming-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const from = model.chosen, to = by("naming-name").value.trim();
  by("naming").close();
  if (to !== from) setup({ rename: { from, to } });
});
by("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = by("add-name").value.trim();
  by("add-name").value = "";
  if (name) add(name);
});
for (const id of ["filter", "order"]) by(id).addEventListener("change", changed);
// The sliders as window and level are; the window's goes by factors, as that of one file may be a thousandth of its range.
const widthTold = () => by("window").setAttribute("aria-valuetext", `${Number(view.grey.window.toPrecision(2))} percent of what infomark reads`);
const greyed = () => {
  const { window: width, level, most, from, to } = view.grey;
  by("window").value = (100 * Math.log(width)) / Math.log(most);
  widthTold();
  Object.assign(by("level"), { min: from, max: to, value: level });
  view.windowed();
};
by("window").addEventListener("input", () => {
  view.grey.window = view.grey.most ** (by("window").value / 100);
  widthTold();
  view.windowed();
});
by("level").addEventListener("input", () => {
  view.grey.level = Number(by("level").value);
  view.windowed();
});
click("grey", () => { Object.assign(view.grey, { window: 100, level: 50 }); greyed(); });
by("magnify").addEventListener("change", view.draw);
view.listen({ choose, placed: place, window: greyed, next: () => nextToPlace() ?? (isComplete() ? null : "a new landmark") });
files.listen({ open, tell, complain });
learning.listen({ open, tell, complain });
second.listen({ draw: view.draw, complain });
view.onTold((at, percent) => {
  const known = image();
  const inMm = (spacing) => `, ${at.map((value, i) => (value * spacing[i]).toFixed(1)).join(", ")} mm (${known.spacing})`;
  const mm = known && !known.spacing_mm ? "; the file states no size of its pixels" : known && at ? inMm(known.spacing_mm) : "";
  scheme.measure();
  by("where").textContent = known ? `${at ? `x, y ${at.map((value) => value.toFixed(1)).join(", ")} px` : `${known.size?.join(" x ") ?? ""} px`}${mm}${percent === null ? "" : `; zoom ${percent} %`}` : "";
});

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.target.closest("input:not([type=checkbox]):not([type=range]),select,textarea")) return;
  const on = event.target === canvas;
  if (on) view.keyed();
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    event.preventDefault();
    (event.shiftKey ? redo : undo)();
    return;
  }
  if (event.ctrlKey || event.metaKey) return;
  if (event.key === "Tab") {
    // At the end of the landmarks the key leaves the image as it does anywhere.
    if (on && model.chosen && landmark(event.shiftKey ? -1 : 1)) event.preventDefault();
    return;
  }
  const far = event.shiftKey ? 10 : 1;
  const arrow = (x, y) => {
    if (!on) return false;
    if (event.altKey || !placeOf()) view.pan((x * 40) / (far > 1 ? 8 : 1), (y * 40) / (far > 1 ? 8 : 1));
    else view.nudge(x * far, y * far);
    return true;
  };
  const keys = {
    "+": () => view.zoom(1.4), "=": () => view.zoom(1.4), "-": () => view.zoom(1 / 1.4), 0: view.fit,
    n: () => landmark(1), p: () => landmark(-1), "]": () => neighbour(1), "[": () => neighbour(-1),
    a: () => decided("accepted"), r: () => decided("rejected"), m: () => by("match").click(), "?": () => by("keys").showModal(),
    ...learning.keys({ open, tell, complain }), ...second.keys({ draw: view.draw }),
    c: copy, o: occluded, x: absent, Delete: clear, Backspace: clear, Escape: () => choose(null),
    Enter: () => (on ? place(view.middle()) : false),
    ArrowLeft: () => arrow(-1, 0), ArrowRight: () => arrow(1, 0), ArrowUp: () => arrow(0, -1), ArrowDown: () => arrow(0, 1),
  };
  const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (action && (!event.altKey || event.key.startsWith("Arrow")) && action() !== false) event.preventDefault();
});
window.addEventListener("beforeunload", (event) => { if (model.pending || files.busy) event.preventDefault(); });

let late = 0;
onChange(() => {
  cancelAnimationFrame(late);
  late = requestAnimationFrame(() => {
    forget();
    lists.draw({ open, choose, copies: sources().length > 0 });
    learning.draw({ open, tell, complain });
    scheme.define();
    pictures.draw();
    matchAgain();
    const { sha256 } = image() ?? {};
    // Another image is chosen, or the file of this one is another by now.
    if (model.current && (model.current !== drawn || (sha256 !== listed && sha256 && view.hash() && sha256 !== view.hash()))) open(model.current);
    view.draw();
  });
});
let loaded = false;
(async function watch() {
  try {
    if (!loaded) await Promise.all([scheme.load(), second.load()]);
    loaded = true;
    await sync();
    if (!model.current && model.images.length) {
      const start = model.images.find(({ name }) => name === model.setup.template) ?? lists.shown().find(({ error }) => !error);
      if (start) await open(start.id);
    }
  } catch (error) {
    if (model.failed !== error.message) complain(error);
    model.failed = error.message;
    changed();
  }
  setTimeout(watch, model.job.running ? 500 : 1500);
})();
