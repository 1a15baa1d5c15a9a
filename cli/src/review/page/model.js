// What the server knows, as it was seen last, and the changes that are made to it.
import { ask, json, Refused } from "./api.js";

export const model = {
  revision: 0, listed: -1, setup: { revision: 0, names: [], template: null }, images: [], records: {}, job: {},
  fixed: [], templates: [], given: 0, model: false, current: null, chosen: null, pending: 0, failed: "",
};
const listeners = [];
export const onChange = (listener) => listeners.push(listener);
export const changed = () => listeners.forEach((listener) => listener());
let complain = () => {};
export const onComplaint = (listener) => { complain = listener; };

export const image = () => model.images.find((image) => image.id === model.current);
export const record = (name = image()?.name) => model.records[name] ?? { decision: "open", decision_revision: 0, points: {} };
export const spot = (landmark = model.chosen) => record().points[landmark];

// Asks for what is new. One at a time: an older answer must not follow a newer one.
let asking = null;
export function sync() {
  asking ??= (async () => {
    const state = await json(`state?since=${model.revision}&listed=${Math.max(model.listed, 0)}`);
    const before = JSON.stringify([model.job, model.templates, model.failed]);
    model.failed = "";
    let news = state.revision !== model.revision || state.listing;
    if (state.revision < model.revision) throw new Refused(0, "The server was started on another review. Reload the page.");
    if (state.listing) model.images = state.listing;
    // An answer that was under way while a change was made is older than that.
    if (state.setup && state.setup.revision >= model.setup.revision) model.setup = state.setup;
    if (!image()) model.current = null;
    for (const [name, record] of Object.entries(state.records)) take(name, record);
    for (const key of ["revision", "listed", "job", "fixed", "templates", "given", "model", "session", "folder"]) model[key] = state[key];
    if (model.chosen && !model.setup.names.includes(model.chosen)) model.chosen = null;
    news ||= before !== JSON.stringify([model.job, model.templates, model.failed]);
    if (news) changed();
  })().finally(() => { asking = null; });
  return asking;
}

function take(name, record) {
  if (record.revision >= (model.records[name]?.revision ?? 0)) model.records[name] = record;
}

// Changes go one after the other, so that each knows the revisions that the one before made.
let queue = Promise.resolve();
export function inTurn(work) {
  model.pending += 1;
  changed();
  queue = queue.then(work).catch(async (error) => {
    complain(error);
    if (error.status === 409) await sync().catch(() => {});
  }).finally(() => {
    model.pending -= 1;
    changed();
  });
  return queue;
}

// Sets points of an image. `by` is "match" to give a point back to matching.
async function send(id, name, edits, seen) {
  const points = () => record(name).points;
  const body = () => ({ edits: edits.map(({ landmark, at, by }) => ({ landmark, at, by, base: points()[landmark]?.revision ?? 0 })) });
  try {
    const answer = await json(`images/${id}/edit`, body());
    take(name, answer.record);
  } catch (error) {
    if (error.status !== 409) throw error;
    await sync();
    // Matching moved the point meanwhile: what a person does goes before it. Another person's change does not.
    if (edits.some(({ landmark }) => (points()[landmark]?.by ?? "match") !== "match" && points()[landmark].revision !== seen[landmark])) throw error;
    take(name, (await json(`images/${id}/edit`, body())).record);
  }
}

const past = [];
let future = [];
export const canUndo = () => past.length > 0;
export const canRedo = () => future.length > 0;

const now = (name, landmark) => {
  const point = record(name).points[landmark];
  return { landmark, at: point?.at ?? null, by: point?.by === "hand" || point?.by === "file" ? "hand" : "match" };
};

export function edit(edits) {
  const { id, name } = image();
  const seen = Object.fromEntries(edits.map(({ landmark }) => [landmark, record(name).points[landmark]?.revision ?? 0]));
  return inTurn(async () => {
    const before = edits.map(({ landmark }) => now(name, landmark));
    await send(id, name, edits, seen);
    past.push({ id, name, before, after: edits.map(({ landmark }) => now(name, landmark)) });
    future = [];
  });
}

const replay = (from, to, which) => inTurn(async () => {
  const step = from.pop();
  if (!step) return;
  // Refused where another tab changed the point since.
  const other = which === "before" ? "after" : "before";
  for (const wanted of step[other]) {
    const is = now(step.name, wanted.landmark);
    if (JSON.stringify(is.at) !== JSON.stringify(wanted.at)) throw new Refused(409, `${wanted.landmark} of ${step.name} was changed elsewhere meanwhile; this step is left out.`);
  }
  await send(step.id, step.name, step[which], {});
  to.push(step);
  model.current = step.id;
});
export const undo = () => replay(past, future, "before");
export const redo = () => replay(future, past, "after");

export function decide(to) {
  const { id, name } = image();
  return inTurn(async () => {
    const { decision, decision_revision: base } = record(name);
    const answer = await json(`images/${id}/edit`, { decision: { to: decision === to ? "open" : to, base } });
    take(name, answer.record);
  });
}

export const setup = (change) => inTurn(async () => {
  const { setup } = await json("setup", { base: model.setup.revision, change });
  model.setup = setup;
  await sync();
});

export const order = (path) => inTurn(async () => {
  await ask(path, {});
  await sync();
});

// How unsure an image is, as a share of its size; images without points come after those with, decided ones last.
export function unsure({ name, size, error }) {
  const { points, decision, recognition } = record(name);
  if (decision !== "open") return -2;
  if (error) return 2;
  const open = Object.values(points).filter((point) => point.at && point.by === "match" && point.found);
  if (!open.length) return -1;
  const mean = open.reduce((sum, point) => sum + point.found.expected_error_px, 0) / open.length;
  return (recognition && !recognition.recognised ? 1 : 0) + mean / Math.hypot(...(size ?? [1000, 1000]));
}
export function expected({ name }) {
  const open = Object.values(record(name).points).filter((point) => point.at && point.by === "match" && point.found);
  if (!open.length) return null;
  const inMm = open.every((point) => point.found.expected_error_mm !== undefined && point.found.expected_error_mm !== null);
  const value = (point) => (inMm ? point.found.expected_error_mm : point.found.expected_error_px);
  const mean = open.reduce((sum, point) => sum + value(point), 0) / open.length;
  return `${mean.toFixed(1)} ${inMm ? "mm" : "px"}`;
}
