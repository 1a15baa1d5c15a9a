// A second reader: where their points are, and how far both readers agree.
import { json } from "./api.js";
import { image } from "./model.js";

const by = (id) => document.getElementById(id);
const make = (tag, text) => {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
};

let second = null;
const isShown = () => second !== null && by("second-shown").checked;
// Where the second reader has a landmark of the image that is shown; null without, or while they are hidden.
export const placeOf = (landmark) => (isShown() && image() ? (second.images[image().name]?.[landmark] ?? null) : null);

export async function load() {
  second = await json("second");
  for (const id of ["second", "second-label", "second-key"]) by(id).hidden = second === null;
}

function show() {
  const { name, compared, agreement, only, problem } = second;
  const unit = agreement?.unit;
  const length = (value) => (value === null ? "–" : value.toFixed(2));
  by("readers-text").textContent = [
    `Second reader: ${name}.`,
    compared ? `Compared in ${compared} image${compared === 1 ? "" : "s"} that you accepted and in which the second reader has points.` : "No image that you accepted has points of the second reader yet.",
    agreement ? `Lengths in ${unit}; offsets are the second reader's point less yours.` : problem,
    only[0] + only[1] ? `Placed by you alone: ${only[0]} points, by the second reader alone: ${only[1]}.` : "",
  ].filter(Boolean).join(" ");
  const rows = agreement ? [...agreement.landmarks, { ...agreement.all, landmark: "all" }] : [];
  by("readers-rows").replaceChildren(...rows.map(({ landmark, pairs, mean_radial_error, offset, offset_sd }) => {
    const row = document.createElement("tr");
    const head = make("th", landmark);
    head.scope = "row";
    row.append(head, ...[pairs, length(mean_radial_error), offset.map(length).join(", "), offset_sd.map(length).join(", ")].map((text) => make("td", text)));
    return row;
  }));
}

export const keys = (page) => ({ s: () => { if (second) by("second-shown").checked = !by("second-shown").checked; page.draw(); } });

export function listen(page) {
  by("second-shown").addEventListener("change", page.draw);
  by("second").addEventListener("click", async () => {
    // The other reader may have gone on, and so has this one.
    await load().catch(page.complain);
    show();
    by("readers").showModal();
    page.draw();
  });
}
