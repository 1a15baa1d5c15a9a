// The page of `infomark review`: what its buttons and keys do.
import { ask, json } from "./api.js";
import * as lists from "./lists.js";
import { changed, decide, edit, image, inTurn, model, onChange, onComplaint, order, record, redo, setup, spot, sync, undo } from "./model.js";
import * as view from "./view.js";

const by = (id) => document.getElementById(id);
const canvas = by("canvas");

function complain(error) {
  by("alert-text").textContent = error.message;
  by("alert").hidden = false;
}
onComplaint(complain);
by("alert-close").addEventListener("click", () => { by("alert").hidden = true; });

let drawn = null;
async function open(id) {
  if (!id) return;
  model.current = drawn = id;
  changed();
  if (image().error) complain(new Error(image().error));
  try {
    const told = await view.show();
    if (told?.changed) complain(new Error(`${image().name} is not the file any more that its points were found in; look whether they still fit.`));
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
// Gives the chosen landmark its place, or the first one that has none, or a new one. One that has a place stays there, as a click too
// many would move it otherwise.
async function place(at) {
  if (!view.ready()) return;
  const placed = (name) => Boolean(record().points[name]?.at);
  if (!model.chosen || placed(model.chosen)) {
    const free = model.setup.names.find((name) => !placed(name));
    if (free) model.chosen = free;
    else if (model.fixed.length) return;
    else {
      const number = model.setup.names.length + 1;
      await add(`point ${number}`);
    }
  }
  const name = model.chosen;
  if (!name) return;
  await edit([{ landmark: name, at }]);
  // On to the next one that has no place.
  const { names } = model.setup;
  const rest = names.slice(names.indexOf(name) + 1).find((other) => !record().points[other]?.at);
  if (model.chosen === name && document.activeElement === canvas && rest) choose(rest);
}
async function add(name) {
  await setup({ add: { name } });
  if (model.setup.names.includes(name)) choose(name);
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
  const { id } = image();
  await decide(to);
  // On to the next image that is open.
  if (record().decision !== to || model.current !== id) return;
  const after = before.slice(before.indexOf(id) + 1);
  const next = after.find((other) => {
    const known = model.images.find((image) => image.id === other);
    return known && !known.error && record(known.name).decision === "open";
  });
  if (next) open(next);
}
const clear = () => spot()?.at && edit([{ landmark: model.chosen, at: null }]);
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
click("rescan", () => order("rescan"));
click("use-template", () => setup({ template: { image: model.current } }));
click("clear", clear);
click("give-back", giveBack);
click("help", () => by("keys").showModal());
click("export", () => by("saving").showModal());
click("saving-close", () => by("saving").close());
click("naming-close", () => by("naming").close());
click("remove", () => {
  if (confirm(`Remove ${model.chosen} from the list, with its points in all images? This can't be undone.`)) setup({ remove: { name: model.chosen } });
});
click("rename", () => {
  by("naming-name").value = model.chosen;
  by("naming").showModal();
  by("naming-name").select();
});
by("naming-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const from = model.chosen, to = by("naming-name").value.trim();
  by("naming").close();
  if (to === from) return;
  await setup({ rename: { from, to } });
  if (model.setup.names.includes(to)) choose(to);
});
by("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = by("add-name").value.trim();
  by("add-name").value = "";
  if (name) add(name);
});
for (const id of ["filter", "order"]) by(id).addEventListener("change", changed);
const greyed = () => {
  by("window").value = view.grey.window;
  by("level").value = view.grey.level;
  view.windowed();
};
for (const id of ["window", "level"]) by(id).addEventListener("input", () => {
  view.grey[id] = Number(by(id).value);
  view.windowed();
});
click("grey", () => { Object.assign(view.grey, { window: 100, level: 50 }); greyed(); });
by("magnify").addEventListener("change", view.draw);
view.listen({ choose, placed: place, window: greyed });
view.onTold((at, percent) => {
  const known = image();
  const mm = at && known?.spacing_mm ? `, ${at.map((value, i) => (value * known.spacing_mm[i]).toFixed(1)).join(", ")} mm (${known.spacing})` : known ? "; the file states no size of its pixels" : "";
  by("where").textContent = known ? `${at ? `x, y ${at.map((value) => value.toFixed(1)).join(", ")} px` : `${known.size?.join(" x ") ?? ""} px`}${mm}; zoom ${percent} %` : "";
});

click("save", async () => {
  const formats = [...document.querySelectorAll("#formats input:checked")].map((box) => box.value);
  try {
    const { files, folder } = await json("export", { formats, accepted_only: by("accepted-only").checked });
    by("saving-text").textContent = `Saved in ${folder}: ${files.slice(0, 6).join(", ")}${files.length > 6 ? `, and ${files.length - 6} more` : ""}.`;
  } catch (error) { by("saving-text").textContent = error.message; }
});
click("save-template", async () => {
  try {
    by("saving-text").textContent = `Saved: ${(await json(`images/${model.current}/template`, {})).files.join(", ")}.`;
  } catch (error) { by("saving-text").textContent = error.message; }
});
click("download", async () => {
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await (await ask(`export/csv${by("accepted-only").checked ? "" : "?all=1"}`)).blob());
    link.download = "landmarks.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  } catch (error) { by("saving-text").textContent = error.message; }
});
const take = (file) => inTurn(async () => {
  const { points, images, unknown } = await json(`import${model.current ? `?for=${model.current}` : ""}`, file);
  await sync();
  complain(new Error(`${file.name}: ${points} points of ${images} images taken${unknown.length ? `; not in this folder: ${unknown.slice(0, 3).join(", ")}` : ""}. Points placed by hand stay.`));
});
by("file").addEventListener("change", () => by("file").files[0] && take(by("file").files[0]));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
});

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.target.closest("input:not([type=checkbox]):not([type=range]),select,textarea")) return;
  const on = event.target === canvas;
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
    if (event.altKey || !spot()?.at) view.pan(x * 40, y * 40);
    else view.nudge(x * far, y * far);
    return true;
  };
  const keys = {
    "+": () => view.zoom(1.4), "=": () => view.zoom(1.4), "-": () => view.zoom(1 / 1.4), 0: view.fit,
    n: () => landmark(1), p: () => landmark(-1), "]": () => neighbour(1), "[": () => neighbour(-1),
    a: () => decided("accepted"), r: () => decided("rejected"), m: () => by("match").click(), "?": () => by("keys").showModal(),
    Delete: clear, Backspace: clear, Escape: () => choose(null),
    Enter: () => (on ? place(view.middle()) : false),
    ArrowLeft: () => arrow(-1, 0), ArrowRight: () => arrow(1, 0), ArrowUp: () => arrow(0, -1), ArrowDown: () => arrow(0, 1),
  };
  const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (action && (!event.altKey || event.key.startsWith("Arrow")) && action() !== false) event.preventDefault();
});
window.addEventListener("beforeunload", (event) => { if (model.pending) event.preventDefault(); });

let late = 0;
onChange(() => {
  cancelAnimationFrame(late);
  late = requestAnimationFrame(() => {
    lists.draw({ open, choose });
    if (model.current && model.current !== drawn) open(model.current);
    view.draw();
  });
});
(async function watch() {
  try {
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
