// The scheme: definitions of the landmarks, and the measurements of the image as its points are at this moment.
import { json } from "./api.js";
import { image, isWanted, model, placeOf, presenceOf, record } from "./model.js";
import { dragging } from "./view.js";

const by = (id) => document.getElementById(id);
const make = (tag, text) => {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
};

let scheme = null;
export const given = () => scheme !== null;
// A landmark may have the name of what every object has, such as "constructor".
const definitionOf = (landmark) => (scheme && Object.hasOwn(scheme.landmarks, landmark) ? scheme.landmarks[landmark] : null);
export const isDefined = (landmark) => definitionOf(landmark) !== null;
export const isDrawn = (landmark) => Boolean(definitionOf(landmark)?.is_drawn);
export async function load() {
  scheme = await json("scheme");
  if (!scheme) return;
  by("measured").hidden = !scheme.measurements.length;
  by("measurements-format").hidden = !scheme.measurements.length;
  by("marks-title").title = [scheme.title, scheme.source].filter(Boolean).join(". ");
}

// What the scheme says of the chosen landmark, which is brought into sight in the list.
let defined = null;
export function define() {
  if (scheme && model.chosen !== defined) by("marks").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  defined = model.chosen;
  const about = definitionOf(model.chosen);
  by("definition").hidden = !about;
  if (!about) return;
  const name = [about.full_name ?? model.chosen, about.abbreviation && `(${about.abbreviation})`].filter(Boolean).join(" ");
  by("definition").replaceChildren(make("b", name), ` ${[about.definition, about.source && `Source: ${about.source}.`].filter(Boolean).join(" ")}`);
}

// The points that the server does not have yet.
function moved() {
  const drag = dragging();
  const names = model.setup.names.filter((name) => isWanted(name) || drag?.landmark === name);
  return names.map((landmark) => ({ landmark, at: drag?.landmark === landmark ? drag.at : placeOf(landmark), presence: presenceOf(landmark) }));
}

// Asks for the measurements of what is on the page now, one request at a time, and shows them; the server knows the formulas.
let asking = false, shown = null;
export async function measure() {
  if (asking || !scheme?.measurements.length) return;
  asking = true;
  try {
    for (;;) {
      const here = image(), points = here ? moved() : [];
      const state = JSON.stringify([here?.id, here?.spacing_mm, here && record().revision, points]);
      if (state === shown) return;
      shown = state;
      if (here) show((await json(`images/${here.id}/measure`, { points })).measurements);
      else show([]);
    }
  } catch {
    // A server that does not answer is reported elsewhere.
  } finally {
    asking = false;
  }
}

const number = (value, unit) => value.toFixed(unit === "ratio" ? 4 : 2);
const UNITS = { deg: "°", ratio: "" };
function show(measurements) {
  const about = new Map(scheme.measurements.map((of) => [of.name, of]));
  by("measurements").replaceChildren(...measurements.map(({ measurement, value, unit, bound, reason }) => {
    const row = document.createElement("tr");
    const head = make("th", measurement);
    head.scope = "row";
    const { full_name, definition, source } = about.get(measurement) ?? {};
    head.title = [full_name, definition, source && `Source: ${source}.`].filter(Boolean).join(". ");
    const cell = value === null ? make("td", "–") : make("td", `${number(value, unit)}${UNITS[unit] ?? ` ${unit}`}${bound === null ? "" : ` ± ${number(bound, unit)}`}`);
    if (reason) cell.append(" ", make("small", reason));
    row.append(head, cell);
    return row;
  }));
}
