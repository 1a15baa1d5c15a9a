// Pictures of the chosen landmark: on the drawing of the scheme, and in another image in which it was placed.
import { ask } from "./api.js";
import { image, model, record, replaced } from "./model.js";
import * as scheme from "./scheme.js";

const by = (id) => document.getElementById(id);

// Answers by their address: `null` until they are there, and where there is none.
const answers = new Map();
function get(path, read) {
  if (!answers.has(path)) {
    answers.set(path, null);
    ask(path).then(read).then((answer) => { answers.set(path, answer); draw(); }, () => {});
  }
  return answers.get(path);
}
const svg = async (response) => new DOMParser().parseFromString(await response.text(), "image/svg+xml").documentElement;
const address = async (response) => URL.createObjectURL(await response.blob());

// The image to show a landmark in: the template, or else the one that was accepted first; never the one that is open, or one that was replaced.
function example(landmark) {
  const has = (known) => !known.error && known.name !== image()?.name && record(known.name).points[landmark]?.at && !replaced(known);
  const { template } = model.setup;
  const known = model.images.filter((known) => has(known) && (known.name === template || record(known.name).decision === "accepted"));
  const rank = ({ name }) => (name === template ? 0 : record(name).decision_revision);
  return known.sort((a, b) => rank(a) - rank(b))[0];
}

let shown = null;
export function draw() {
  const { chosen } = model;
  const drawing = chosen && scheme.isDrawn(chosen) ? get(`drawing?landmark=${encodeURIComponent(chosen)}`, svg) : null;
  const from = chosen && example(chosen);
  const revision = from && record(from.name).points[chosen].revision;
  const around = from ? get(`images/${from.id}/around?landmark=${encodeURIComponent(chosen)}&revision=${revision}`, address) : null;
  const state = JSON.stringify([chosen, Boolean(drawing), around]);
  if (state === shown) return;
  shown = state;
  by("pictures").hidden = !drawing && !around;
  by("drawing").hidden = !drawing;
  by("drawing").replaceChildren(...(drawing ? [document.importNode(drawing, true)] : []));
  by("drawing").setAttribute("aria-label", `${chosen} on a drawing`);
  by("around").hidden = !around;
  if (!around) return;
  by("around").querySelector("img").src = around;
  by("around").querySelector("img").alt = `${chosen} in ${from.name}`;
  by("around").querySelector("figcaption").textContent = `in ${from.name}`;
}
