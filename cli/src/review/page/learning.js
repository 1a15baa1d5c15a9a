// Learning: the encoder of the images, what is learnt from accepted images, and the image to annotate next.
import { ask, json } from "./api.js";
import { accepted, isWide, model, order, sync } from "./model.js";

const by = (id) => document.getElementById(id);
const cell = (text) => {
  const element = document.createElement("td");
  element.textContent = text;
  return element;
};
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

export const length = (error) => (error ? `${error.px.toFixed(1)} px${error.mm === null ? "" : ` (${error.mm.toFixed(2)} mm)`}` : "–");
export const percent = (coverage) => `${Math.round(100 * coverage)} %`;
// "3 min left", of a piece of work.
export function timeLeft(seconds) {
  if (seconds === null || seconds === undefined) return "";
  return `, about ${seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`} left`;
}
export const isTraining = () => model.job.running && ["training the encoder", "reading images"].includes(model.job.kind);

const usable = () => model.images.filter(({ error }) => !error);
const latest = () => model.rounds.at(-1);
const canLearn = () => model.model && !model.job.running && accepted() >= model.least;

// The words about the encoder, where none is given.
function encoderWords() {
  const { unfinished, proposal } = model.encoder;
  const chosen = model.chosen_encoder;
  if (isTraining()) return "An encoder is being trained; annotate meanwhile.";
  const words = [];
  if (chosen?.shipped && model.model) words.push(`Encoder: ${chosen.shipped}.`);
  else if (model.model) words.push("Encoder: trained on these images.");
  else words.push("No encoder yet: landmarks can be placed, but not found.");
  if (unfinished) words.push(`A training on ${plural(unfinished.images, "image")} stands at step ${unfinished.step} of ${unfinished.steps}.`);
  if (proposal && !model.model) words.push(`${proposal.recognised} of ${plural(proposal.images, "image")} recognised as ${proposal.of}${proposal.suits ? "" : `, too few for the encoder ${proposal.encoder}`}.`);
  return words.join(" ");
}

function learnedWords() {
  const round = latest();
  const count = accepted();
  if (!round) {
    if (!model.model) return "Needs an encoder.";
    return count >= model.least ? `${count} accepted images to learn from.` : `${count} of at least ${model.least} accepted images.`;
  }
  const before = model.rounds.at(-2);
  const more = count - round.images;
  return `Learnt from ${round.images} images: held-out error ${length(round.errors.chosen)}${before ? `, before ${length(before.errors.chosen)}` : ""}.${more > 0 ? ` ${more} accepted since.` : ""}`;
}

export function draw(page) {
  const { running } = model.job;
  const { given, unfinished, proposal } = model.encoder;
  by("learning").hidden = model.listed < 0 || !model.images.length;
  by("encoder-row").hidden = Boolean(given);
  by("encoder-text").textContent = encoderWords();
  by("use-shipped").hidden = !proposal?.suits || model.model || running;
  by("use-shipped").textContent = `Use the encoder ${proposal?.encoder}`;
  by("train-on").hidden = !unfinished || running;
  for (const id of ["train", "steps-label"]) by(id).hidden = running && isTraining();
  by("train").disabled = running || usable().length < 2;
  by("train").textContent = unfinished ? "Train anew" : model.model ? "Train again on these images" : "Train an encoder on these images";
  by("train").classList.toggle("main", !model.model && !unfinished && !proposal?.suits);
  if (!by("steps").value && model.encoder.steps) Object.assign(by("steps"), { value: model.encoder.steps, max: model.encoder.most_steps });
  by("learn").disabled = !canLearn();
  by("learn").classList.toggle("main", canLearn() && accepted() > (latest()?.images ?? 0));
  by("learn-at-once").disabled = !model.model;
  by("learned-text").textContent = learnedWords();
  by("errors").hidden = !latest();
  by("model-format").hidden = !latest();
  by("next").disabled = !model.images.length;
  recognise();
  if (again && canLearn()) {
    again = false;
    order("learn");
  }
  if (waiting && !running) {
    waiting = false;
    if (!model.job.failed && model.job.kind === "ordering") next(page);
  }
}

// Asked once, before anything is trained: whether an encoder that comes with infomark suits the images.
let asked = false;
function recognise() {
  const { given, unfinished, proposal } = model.encoder;
  const looked = model.images.every(({ size, error }) => size || error);
  if (asked || given !== false || model.model || unfinished || proposal || model.job.running || !looked || usable().length < 3) return;
  asked = true;
  order("recognise");
}

// Whether to learn again as soon as nothing is under way.
let again = false;
export const corrected = () => { again ||= by("learn-at-once").checked; };

// Whether the images are being ranked to say which is next.
let waiting = false;
async function next(page) {
  try {
    const answer = await json("next", {});
    waiting = answer.waiting;
    page.tell(waiting ? "The images are being ranked; the next one is opened then." : answer.why);
    if (waiting) await sync();
    else if (answer.image) await page.open(answer.image);
  } catch (error) {
    page.complain(error);
  }
}

function showErrors() {
  const round = latest(), before = model.rounds.at(-2);
  if (!round) return;
  const earlier = new Map((before?.landmarks ?? []).map((landmark) => [landmark.name, landmark.error]));
  by("held-out-rows").replaceChildren(...round.landmarks.map(({ name, member, error }) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head, cell(member), cell(length(earlier.get(name))), cell(length(error)));
    return row;
  }));
  const { templates, network, fusion, chosen } = round.errors;
  by("held-out-text").textContent = [
    `Learnt from ${round.images} accepted images; each error is measured on images that the detector did not learn from.`,
    round.points > round.placed ? `Of their ${round.points} points ${round.placed} were placed or moved. The others were accepted as proposed, so that errors against them are too small.` : "",
    `All landmarks: ${length(chosen)}; templates ${length(templates)}, network ${length(network)}, fusion ${length(fusion)}.`,
    round.coverage === null ? "Too few images, or too few points placed or moved, for error bounds." : `Error bounds hold for ${percent(round.coverage)} of the errors.`,
    round.left_out.length ? `In too few images: ${round.left_out.join(", ")}.` : "",
  ].filter(Boolean).join(" ");
}

// The curves come as a picture of the server's own.
async function showCurve() {
  const text = await (await ask("learning-curve")).text();
  const svg = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (!svg.getAttribute("viewBox")) svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
  for (const name of ["width", "height"]) svg.removeAttribute(name);
  by("curve").replaceChildren(document.importNode(svg, true));
}

export const keys = (page) => ({ w: () => next(page), l: () => by("learn").click() });

export function listen(page) {
  const click = (id, action) => by(id).addEventListener("click", action);
  click("next", () => next(page));
  click("use-shipped", () => order("encoder", { name: model.encoder.proposal.encoder }));
  click("train-on", () => order("train", {}));
  click("train", () => {
    const steps = by("steps").valueAsNumber;
    if (!by("steps").reportValidity() || !Number.isInteger(steps)) return page.complain(new Error(`Steps: a whole number from 1 to ${model.encoder.most_steps}`));
    order("train", { steps, anew: true });
  });
  click("learn", () => order("learn"));
  click("errors", async () => {
    showErrors();
    by("held-out").showModal();
    await showCurve().catch(page.complain);
  });
}

// A found point in words, in an image of this size.
export function found({ score, member, disagreement_px, error_bound_px, error_bound_mm, abstain }, size) {
  const has = (value) => value !== null && value !== undefined;
  const wide = has(error_bound_px) && isWide(error_bound_px, size);
  const error = wide ? "more than a quarter of the image" : has(error_bound_mm) ? `${error_bound_mm.toFixed(1)} mm` : has(error_bound_px) ? `${error_bound_px.toFixed(1)} px` : null;
  const doubt = abstain ? ", doubtful" : "";
  if (!member) return `matched, score ${score.toFixed(2)}${error ? `, error bound ${error}` : ""}${doubt}`;
  const coverage = latest()?.coverage;
  const bound = error ? `, error bound${coverage ? ` (${percent(coverage)})` : ""} ${error}` : "";
  return `proposed by ${member}, score ${score.toFixed(2)}, disagreement ${disagreement_px.toFixed(1)} px${bound}${doubt}`;
}
