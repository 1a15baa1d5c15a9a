// What was done in this tab, to be taken back and done again. Steps name landmarks as they are called now.
const past = [], future = [];
const MOST = 500;

export const last = () => past.at(-1);
export const next = () => future.at(-1);

export function did(step) {
  past.push(step);
  if (past.length > MOST) past.shift();
  future.length = 0;
}

// Takes the last step back (`which` is "before") or does the next one again ("after"). One that is refused is forgotten.
export async function replay(which, perform) {
  const [from, to] = which === "before" ? [past, future] : [future, past];
  const step = from.pop();
  if (!step) return;
  await perform(step, which);
  to.push(step);
}

const spots = function* () {
  for (const step of [...past, ...future]) {
    const images = step.kind === "file" ? step.images : step.kind === "points" ? [step] : [];
    for (const { before, after } of images) yield* [before, after];
  }
};

// A landmark has another name from now on.
export function renamed(from, to) {
  for (const list of spots()) for (const spot of list) if (spot.landmark === from) spot.landmark = to;
}

// Landmarks that are on no list any more can be put nowhere, but for those whose removal can be taken back.
export function keepOnly(listed) {
  const restorable = [...past.filter(({ kind }) => kind === "remove"), ...future.filter(({ kind }) => kind === "add")];
  const names = [...listed, ...restorable.map(({ name }) => name)];
  for (const steps of [past, future]) {
    for (const step of steps.flatMap((step) => step.images ?? step)) {
      if (step.kind !== "points") continue;
      for (const which of ["before", "after"]) step[which] = step[which].filter(({ landmark }) => names.includes(landmark));
    }
    const kept = steps.filter((step) => step.kind !== "points" || step.before.length);
    steps.splice(0, steps.length, ...kept);
  }
}

// A step in words.
export function words(step) {
  if (!step) return "nothing";
  if (step.kind === "rename") return `the name ${step.after}`;
  if (step.kind === "add") return `the landmark ${step.name}`;
  if (step.kind === "remove") return `the removal of ${step.name}`;
  if (step.kind === "template") return "the choice of the template";
  if (step.kind === "file") return `the points of ${step.name}`;
  if (step.kind === "decision") return `${step.after === "open" ? "no decision" : step.after} on ${step.name}`;
  const state = ({ at, presence }) => (presence === "absent" ? " absent" : at ? (presence === "occluded" ? " not visible" : "") : " cleared");
  return `${step.after.map((spot) => `${spot.landmark}${state(spot)}`).join(", ")} on ${step.name}`;
}
