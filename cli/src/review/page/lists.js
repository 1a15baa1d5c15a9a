// The lists of images and landmarks, and what is said of them in words.
import * as history from "./history.js";
import * as learning from "./learning.js";
import { accepted, image, model, placeOf, presenceOf, record, replaced, spot, trust, unsure } from "./model.js";
import { isDefined } from "./scheme.js";

const by = (id) => document.getElementById(id);
const make = (tag, text, className) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};

// The images that the list shows, in its order.
export function shown() {
  const filter = by("filter").value;
  const wanted = (image) => {
    if (filter === "all") return true;
    if (filter === "failed") return Boolean(image.error);
    return record(image.name).decision === filter;
  };
  const images = model.images.filter(wanted);
  if (by("order").value === "name") return images;
  return images.map((image, index) => [unsure(image), index, image]).sort((a, b) => b[0] - a[0] || a[1] - b[1]).map((entry) => entry[2]);
}

const SIGNS = { open: "○", accepted: "✓", rejected: "✗" };
function state(image) {
  const { points, decision, recognition } = record(image.name);
  const count = Object.values(points).filter((point) => point.at || point.presence === "absent").length;
  const words = [decision === "open" ? (count ? "to review" : "no points") : decision];
  if (model.setup.template === image.name) words.push("template");
  else if (model.model && model.templates.includes(image.name)) words.push("used as a template");
  const told = trust(image);
  if (told && decision === "open") words.push(told);
  if (replaced(image)) words.push("the image was replaced since its points were placed");
  if (recognition && !recognition.recognised && decision === "open") words.push("does not look like the template");
  return { sign: SIGNS[decision], words: words.join(", ") };
}

// Rebuilds a list and keeps the focus where it was.
function fill(list, rows) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...rows);
  if (focused) [...list.querySelectorAll("button")].find((button) => button.dataset.key === focused)?.focus();
}

function row(key, current, parts, choose) {
  const button = make("button");
  button.type = "button";
  button.dataset.key = key;
  if (current) button.setAttribute("aria-current", "true");
  button.append(...parts);
  button.addEventListener("click", choose);
  const item = make("li");
  item.append(button);
  return item;
}

// What to do next, for those who see the page for the first time.
function hint() {
  const some = (has) => Object.values(model.records).some(({ points }) => Object.values(points).some((point) => point.at && has(point)));
  if (model.model && accepted() >= model.least && !model.rounds.length) return "Learn from corrections trains on the accepted images and proposes the landmarks of the others anew.";
  if (some(({ by }) => by === "match")) return "Drag what is off; A accepts the image, R rejects it.";
  if (!model.model) return some(() => true) ? "Save as… writes the points. With an encoder the landmarks of the other images are found." : "Each click into the image places the next landmark.";
  if (model.given || model.templates.length) return "Match the rest finds the landmarks in all images.";
  return some(() => true) ? "When all landmarks are placed here, press Use as template." : "Each click into the image places the next landmark. Do so in one image, which will be the template.";
}

let scrolled = null;
export function draw({ open, choose, copies }) {
  const images = shown();
  fill(by("image-list"), images.map((image) => {
    const { sign, words } = state(image);
    return row(image.id, image.id === model.current, [make("span", image.error ? "!" : sign), make("b", image.name), make("small", image.error ?? words)], () => open(image.id));
  }));
  // The image that is opened by a key or button may be out of sight.
  if (scrolled !== model.current) by("image-list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  scrolled = model.current;
  by("images-title").textContent = `Images (${images.length} of ${model.images.length})`;
  by("skipped").textContent = model.skipped ?? "";
  by("none").hidden = model.listed < 0 || model.images.length > 0;

  const here = image();
  const about = record();
  by("image-name").textContent = here?.name ?? "No image";
  by("image-state").textContent = here ? here.error ?? [state(here).words, about.recognition?.warning].filter(Boolean).join(". ") : "";
  fill(by("marks"), model.setup.names.map((name) => {
    const point = here && about.points[name];
    let words = "not placed", sign = "○";
    if (point?.at) {
      sign = point.by === "match" ? "+" : "◎";
      const { found } = point;
      words = point.by === "match" ? learning.found(found, here.size)
        : point.by === "file" ? "from a file" : found ? "corrected by hand" : "placed by hand";
      if (point.presence === "occluded") words += ", not visible";
    } else if (point?.presence === "absent") [sign, words] = ["∅", `absent${point.by === "file" ? ", from a file" : ""}`];
    else if (point?.by === "hand") words = "cleared";
    return row(name, name === model.chosen, [make("span", sign), make("b", name), make("small", words)], () => choose(name));
  }));

  by("hint").textContent = here ? hint() : "";

  by("accept").setAttribute("aria-pressed", about.decision === "accepted");
  by("reject").setAttribute("aria-pressed", about.decision === "rejected");
  const fixed = model.fixed.includes(model.chosen);
  const able = {
    accept: here, reject: here, undo: history.last(), redo: history.next(), rename: model.chosen && !fixed && !isDefined(model.chosen), remove: model.chosen && !fixed,
    clear: placeOf(), copy: here && copies, occluded: placeOf(), absent: here && model.chosen, "give-back": spot()?.found && spot().by !== "match", match: model.model && !model.job.running && (model.given || model.templates.length),
    suggest: model.model && !model.job.running, "at-once": model.model && !model.rounds.length, "use-template": here && model.setup.template !== here.name, "save-template": here && model.model,
  };
  for (const [id, able_] of Object.entries(able)) by(id).disabled = !able_;
  by("match").title = model.rounds.length ? "Proposes the landmarks of the open images by what was learnt last" : "Matches the template and the accepted images to the open ones";
  for (const name of ["occluded", "absent"]) by(name).setAttribute("aria-pressed", Boolean(here && model.chosen) && presenceOf() === name);
  by("undo").title = `Take back: ${history.words(history.last())}`;
  by("redo").title = `Do again: ${history.words(history.next())}`;
  by("saved").textContent = model.failed ? "not connected" : model.pending ? "saving…" : "all saved";
  by("folder").textContent = model.folder ?? "";
  by("session").textContent = model.session ? `Saved in ${model.session}.` : "";
  const { job } = model;
  by("job").hidden = !job.number;
  by("stop").hidden = !job.running;
  by("bar").hidden = !job.running;
  by("bar").value = job.total ? job.done / job.total : 0;
  by("stop").textContent = learning.isTraining() ? "Pause" : "Stop";
  const progress = job.kind === "learning" ? `${job.total ? Math.floor((100 * job.done) / job.total) : 0} %` : `${job.kind.startsWith("training") ? "step " : ""}${job.done} of ${job.total}`;
  by("job-text").textContent = job.running ? `${job.kind}: ${progress}${learning.timeLeft(job.seconds_left)}` : job.message === "stopped" ? "Stopped." : `${job.failed ? "Failed: " : ""}${job.message ?? ""}`;
  if (job.suggested?.length && !job.running) {
    const names = job.suggested.map(([id, score]) => {
      const known = model.images.find((image) => image.id === id);
      const button = make("button", `${known?.name} (${score.toFixed(2)})`);
      button.type = "button";
      button.addEventListener("click", () => open(id));
      return button;
    });
    by("job-text").append(": ", ...names);
  }
  by("canvas").setAttribute("aria-label", here ? `${here.name}, ${state(here).words}; ${model.chosen ? `chosen landmark ${model.chosen}` : "no landmark chosen"}` : "No image");
}
