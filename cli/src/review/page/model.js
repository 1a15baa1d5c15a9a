// What the server knows, as it was seen last, and the changes that are made to it.
import { ask, json, Refused } from "./api.js";
import * as history from "./history.js";

export const model = {
  revision: 0, listed: -1, setup: { revision: 0, names: [], template: null }, images: [], records: {}, job: {},
  fixed: [], templates: [], given: 0, model: false, encoder: {}, chosen_encoder: null, rounds: [], least: 0, current: null, chosen: null, pending: 0, failed: "", longest: {},
};
const listeners = [];
export const onChange = (listener) => listeners.push(listener);
export const changed = () => listeners.forEach((listener) => listener());
let complain = () => {};
export const onComplaint = (listener) => { complain = listener; };

export const image = () => model.images.find((image) => image.id === model.current);
export const record = (name = image()?.name) => model.records[name] ?? { decision: "open", decision_revision: 0, points: {} };
export const spot = (landmark = model.chosen) => record().points[landmark];
// Whether the points are of another file than the one that is there now.
export const replaced = (known = image(), hash = known?.sha256) => {
  const { sha256, points } = record(known?.name);
  return Boolean(hash && sha256 && hash !== sha256 && Object.values(points).some(({ at }) => at));
};

// Places that are on their way to the server, by image and landmark.
const wanted = new Map();
const key = (name, landmark) => JSON.stringify([name, landmark]);
export const isWanted = (landmark, name = image()?.name) => wanted.has(key(name, landmark));
// Where a landmark is, or will be in a moment.
export const placeOf = (landmark = model.chosen, name = image()?.name) =>
  wanted.get(key(name, landmark))?.at ?? (isWanted(landmark, name) ? null : record(name).points[landmark]?.at ?? null);

// "visible", "occluded" or "absent": as it is, or will be in a moment.
export const presenceOf = (landmark = model.chosen, name = image()?.name) =>
  wanted.get(key(name, landmark))?.presence ?? record(name).points[landmark]?.presence ?? "visible";
export const isAbsent = (landmark, name) => presenceOf(landmark, name) === "absent";

// Asks for what is new. One at a time: an older answer must not follow a newer one.
let asking = null;
export function sync() {
  asking ??= (async () => {
    const state = await json(`state?since=${model.revision}&listed=${Math.max(model.listed, 0)}`);
    const facts = () => JSON.stringify([model.job, model.templates, model.failed, model.encoder, model.chosen_encoder, model.model]);
    const before = facts();
    model.failed = "";
    let news = state.revision !== model.revision || state.listing;
    if (state.revision < model.revision) throw new Refused(0, "The server was started on another review. Reload the page.");
    if (state.listing) model.images = state.listing;
    // An answer that was under way while a change was made is older than that.
    if (state.setup && state.setup.revision >= model.setup.revision) model.setup = state.setup;
    if (!image()) model.current = null;
    for (const [name, record] of Object.entries(state.records)) take(name, record);
    for (const key of ["revision", "listed", "job", "fixed", "templates", "given", "model", "encoder", "chosen_encoder", "least", "session", "folder", "longest", "skipped"]) model[key] = state[key];
    if (model.chosen && !model.setup.names.includes(model.chosen)) model.chosen = null;
    if (!settling) history.keepOnly(model.setup.names);
    if (state.rounds) model.rounds = state.rounds;
    news ||= before !== facts();
    if (news) changed();
  })().finally(() => { asking = null; });
  return asking;
}

function take(name, record) {
  if (record.revision >= (model.records[name]?.revision ?? 0)) model.records[name] = record;
}

// Changes go one after the other, so that each knows the revisions that the one before made.
let queue = Promise.resolve();
// The change that is last in the queue, if it sets one point and is not sent yet: another place for that point joins it.
let waiting = null;
export function inTurn(work) {
  waiting = null;
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

// As inTurn, for callers that handle the result.
export const valueInTurn = (work) => new Promise((done, failed) => { inTurn(() => work().then(done, failed)); });

// Revisions that this tab made.
const own = new Set();
const elsewhere = (landmark, name) => new Refused(409, `${landmark} of ${name} was changed elsewhere meanwhile; look at it again.`);
// Refuses to replace what another tab's user did since `seen`. Matching moves points, too, but what a person does goes before it.
function check(name, edits, seen) {
  for (const { landmark } of edits) {
    const point = record(name).points[landmark];
    const revision = point?.revision ?? 0;
    if (seen[landmark] !== undefined && revision !== seen[landmark] && !own.has(revision) && (point?.by ?? "match") !== "match") throw elsewhere(landmark, name);
  }
}

// Sets points of an image. `by` is "match" to give a point back to matching.
async function send(id, name, edits, seen) {
  const body = () => ({ edits: edits.map(({ landmark, at, presence, by }) => ({ landmark, at, presence, by, base: record(name).points[landmark]?.revision ?? 0 })) });
  check(name, edits, seen);
  let answer;
  try {
    answer = await json(`images/${id}/edit`, body());
  } catch (error) {
    if (error.status !== 409) throw error;
    await sync();
    check(name, edits, seen);
    answer = await json(`images/${id}/edit`, body());
  }
  for (const { landmark } of edits) own.add(answer.record.points[landmark]?.revision);
  take(name, answer.record);
}

const now = (name, landmark) => spotOf(landmark, record(name).points[landmark]);
const spotOf = (landmark, point) => {
  return { landmark, at: point?.at ?? null, presence: point?.presence ?? "visible", by: point?.by ?? "match" };
};

// Each edit has a landmark and its place, or null; without `presence`, an occluded landmark that is moved stays so.
export function edit(wishes) {
  const { id, name } = image();
  const kept = ({ landmark, at, by }) => (at && !by && presenceOf(landmark, name) === "occluded" ? "occluded" : "visible");
  const edits = wishes.map((wish) => ({ ...wish, presence: wish.presence ?? kept(wish) }));
  const [{ landmark, by }] = edits;
  const alone = edits.length === 1 && !by;
  if (alone && waiting?.name === name && waiting.edits[0].landmark === landmark) {
    waiting.edits = edits;
    Object.assign(wanted.get(key(name, landmark)), { at: edits[0].at, presence: edits[0].presence });
    changed();
    return waiting.done;
  }
  // What this tab has not been answered yet is its own.
  const seen = Object.fromEntries(edits.filter(({ landmark }) => !isWanted(landmark, name)).map(({ landmark }) => [landmark, record(name).points[landmark]?.revision ?? 0]));
  const mine = { name, edits };
  for (const { landmark, at, presence } of edits) {
    const before = wanted.get(key(name, landmark));
    wanted.set(key(name, landmark), { at, presence, count: (before?.count ?? 0) + 1 });
  }
  mine.done = inTurn(async () => {
    if (waiting === mine) waiting = null;
    try {
      const before = edits.map(({ landmark }) => now(name, landmark));
      await send(id, name, mine.edits, seen);
      history.did({ kind: "points", id, name, before, after: edits.map(({ landmark }) => now(name, landmark)) });
    } finally {
      for (const { landmark } of edits) {
        const left = wanted.get(key(name, landmark));
        if (left && (left.count -= 1) === 0) wanted.delete(key(name, landmark));
      }
    }
  });
  if (alone) waiting = mine;
  return mine.done;
}

async function change(change) {
  const { setup } = await json("setup", { base: model.setup.revision, change });
  model.setup = setup;
  await sync();
}
// A landmark that is being renamed or removed is on no list for a moment, but not gone: its steps are kept.
let settling = 0;
async function settle(work) {
  settling += 1;
  try {
    await work();
  } finally {
    settling -= 1;
  }
}
const rename = async (from, to) => {
  const chosen = model.chosen === from;
  await settle(async () => {
    model.setup = (await json("setup", { base: model.setup.revision, change: { rename: { from, to } } })).setup;
    history.renamed(from, to);
    if (chosen) model.chosen = to;
  });
  await sync();
};
// Takes what a landmark file changed as one step.
export async function imported(name, work) {
  const before = model.records;
  model.records = { ...before };
  const answer = await work();
  await sync();
  const images = [];
  for (const { id, name } of model.images) {
    const old = before[name]?.points ?? {}, { points } = record(name);
    const moved = Object.keys(points).filter((landmark) => points[landmark].revision !== old[landmark]?.revision && points[landmark].by === "file");
    if (!moved.length) continue;
    const spots = (known) => moved.map((landmark) => spotOf(landmark, known[landmark]));
    images.push({ kind: "points", id, name, before: spots(old), after: spots(points) });
  }
  if (images.length) history.did({ kind: "file", name, images });
  return answer;
}
const idOf = (name) => model.images.find((image) => image.name === name)?.id ?? null;
const setDecision = async (id, name, to) => {
  const answer = await json(`images/${id}/edit`, { decision: { to, base: record(name).decision_revision } });
  take(name, answer.record);
};

async function perform(step, which) {
  const other = which === "before" ? "after" : "before";
  const stale = () => { throw new Refused(409, `${history.words(step)}: changed elsewhere meanwhile; this step is left out.`); };
  if (step.kind === "rename") return rename(step[other], step[which]);
  if (step.kind === "add" && which === "before" && Object.values(model.records).some(({ points }) => points[step.name]?.at)) {
    throw new Refused(409, `${step.name} has points: Remove takes it off the list, with its points in all images.`);
  }
  if (step.kind === "add") return change(which === "before" ? { remove: { name: step.name } } : { restore: { name: step.name } });
  if (step.kind === "remove") return change(which === "before" ? { restore: { name: step.name } } : { remove: { name: step.name } });
  if (step.kind === "template") return change({ template: { image: step[which] } });
  if (step.kind === "file") {
    // What was changed since in one image does not keep the others from their places.
    const stale = [];
    for (const of of step.images) await perform(of, which).catch((error) => stale.push(error));
    if (stale.length) throw stale[0];
    return undefined;
  }
  if (!model.images.some(({ id }) => id === step.id)) stale();
  if (step.kind === "decision") {
    if (record(step.name).decision !== step[other]) stale();
    await setDecision(step.id, step.name, step[which]);
  } else {
    // Refused where another tab changed a point since.
    const same = (a, b) => JSON.stringify([a.at, a.presence]) === JSON.stringify([b.at, b.presence]);
    for (const spot of step[other]) if (!same(now(step.name, spot.landmark), spot)) stale();
    await send(step.id, step.name, step[which], {});
  }
  model.current = step.id;
}
const replay = (which) => inTurn(() => settle(() => history.replay(which, perform)));
export const undo = () => replay("before");
export const redo = () => replay("after");

export function decide(wish) {
  const { id, name } = image();
  return inTurn(async () => {
    const before = record(name).decision;
    // An accepted image that was replaced is accepted as it is now.
    const isRenewed = before === "accepted" && replaced();
    const after = before === wish && !isRenewed ? "open" : wish;
    await setDecision(id, name, after);
    if (before !== after) history.did({ kind: "decision", id, name, before, after });
  });
}

export const setup = (wish) => inTurn(async () => {
  const before = idOf(model.setup.template);
  if (wish.rename) {
    await rename(wish.rename.from, wish.rename.to);
    return history.did({ kind: "rename", before: wish.rename.from, after: wish.rename.to });
  }
  if (wish.remove) {
    return settle(async () => {
      await change(wish);
      history.did({ kind: "remove", name: wish.remove.name });
    });
  }
  await change(wish);
  if (wish.add) history.did({ kind: "add", name: wish.add.name });
  if (wish.template) history.did({ kind: "template", before, after: wish.template.image });
});

export const order = (path, body = {}) => inTurn(async () => {
  await ask(path, body);
  await sync();
});
// How many images are accepted and have points: they can be learnt from.
export const accepted = () => model.images.filter(({ name, error }) => !error && record(name).decision === "accepted" && Object.values(record(name).points).some(({ at }) => at)).length;

// About the diagonal of the model input, in whose pixels an uncertainty is.
const MODEL_INPUT = 600;

// An error bound beyond this fraction of the image says no more than that the landmark may be anywhere: too few images to tell.
const USEFUL = 0.25;
export const isWide = (bound, size) => Boolean(size) && bound > USEFUL * Math.max(...size);

// How unsure an image is, as a share of its size; images without points come after those with, decided ones last.
export function unsure({ name, size, error }) {
  const { points, decision, recognition } = record(name);
  if (decision !== "open") return -2;
  if (error) return 2;
  const learned = record(name).uncertainty_px;
  // In pixels of the model input, as for Next image.
  if (learned !== undefined) return learned / MODEL_INPUT;
  const open = Object.values(points).filter((point) => point.at && point.by === "match" && point.found);
  if (!open.length) return -1;
  const unrecognised = recognition && !recognition.recognised ? 1 : 0;
  const mean = (value) => open.reduce((sum, point) => sum + value(point.found), 0) / open.length;
  // The same for images of all sizes; earlier versions did not keep it.
  if (open.every(({ found }) => (found.uncertainty ?? null) !== null)) {
    return unrecognised + mean((found) => found.uncertainty) / MODEL_INPUT;
  }
  const diagonal = Math.hypot(...(size ?? [1000, 1000]));
  return unrecognised + mean((found) => found.error_bound_px ?? found.disagreement_px ?? 0) / diagonal;
}
// Mean error bound of an image's found points, or their mean uncertainty where errors have no bounds, in words.
export function trust({ name, size }) {
  const open = Object.values(record(name).points).filter((point) => point.at && point.by === "match" && point.found);
  const mean = (key) => {
    const known = open.length > 0 && open.every(({ found }) => (found[key] ?? null) !== null);
    return known ? (open.reduce((sum, { found }) => sum + found[key], 0) / open.length).toFixed(1) : null;
  };
  const [mm, px, uncertainty] = ["error_bound_mm", "error_bound_px", "uncertainty"].map(mean);
  const { uncertainty_px: learned, recognition } = record(name);
  if (!(mm ?? px) && learned !== undefined && open.length) return recognition?.recognised === false ? null : `uncertainty ${learned.toFixed(1)} px`;
  if (px && isWide(px, size)) return "error bound more than a quarter of the image";
  if (mm ?? px) return `error bound ${mm ? `${mm} mm` : `${px} px`}`;
  return uncertainty && `uncertainty ${uncertainty}`;
}
