// Files: images and landmark files that come, landmark files that go.
import { ask, json } from "./api.js";
import { image, imported, model, sync, valueInTurn } from "./model.js";

const by = (id) => document.getElementById(id);
const IMAGES = /\.(png|tiff?|jpe?g|bmp|pgm|dcm|nii|nii\.gz)$/i;

// Whether a file is an image: by its ending or, as many archives name DICOM files by numbers, by its mark.
async function isImage(file) {
  if (IMAGES.test(file.name)) return true;
  return (await file.slice(128, 132).text()) === "DICM";
}

// The files of a drop, those of folders too.
async function* within(entry) {
  if (entry.isFile) {
    yield await new Promise((done, failed) => entry.file(done, failed));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const other of some) if (!other.name.startsWith(".")) yield* within(other);
  }
}
async function dropped(transfer) {
  // Asked for before anything is waited for: the list is empty afterwards.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const files = [];
  for (const entry of entries) for await (const file of within(entry)) files.push(file);
  return files;
}

const stem = (name) => name.replace(/(\.mrk)?\.[^.]*$/, "");
const MIB = 1 << 20;
const fits = (file, most) => {
  if (file.size > most) throw new Error(`${file.name}: ${Math.ceil(file.size / MIB)} MiB; at most ${most / MIB} are taken`);
};

async function takeImage(file) {
  fits(file, model.longest.image);
  const { id, name, is_new } = await json(`add?name=${encodeURIComponent(file.name)}`, file);
  return { id, words: is_new ? (name === file.name ? null : `${file.name} is called ${name} here`) : `${file.name} is there already${name === file.name ? "" : ` as ${name}`}` };
}

// 3D Slicer's and ISBI's files name no image: it is the one of the same name, or the one that is shown.
function takeLandmarks(file, alone) {
  fits(file, model.longest.landmarks);
  const same = model.images.find(({ name }) => stem(name) === stem(file.name));
  const of = same?.id ?? (alone ? model.current : null);
  return valueInTurn(async () => {
    const { points, images, unknown, decided } = await imported(file.name, () => json(`import${of ? `?for=${of}` : ""}`, file));
    return `${file.name}: ${points} ${points === 1 ? "point" : "points"} of ${images} ${images === 1 ? "image" : "images"} taken${unknown.length ? `; no such image here: ${unknown.slice(0, 3).join(", ")}` : ""}${decided ? `; ${decided} accepted or rejected images stay as they are` : ""}. Points placed by hand stay.`;
  });
}

let turn = Promise.resolve();
export let busy = 0;
// Takes files one after the other: images first, so that landmark files find them.
function takeAll(list, { open, tell, complain }) {
  busy += 1;
  turn = turn.then(async () => {
    const files = await list;
    const sorted = [[], []];
    for (const file of files) sorted[(await isImage(file).catch(() => false)) ? 0 : 1].push(file);
    const words = [], errors = [], added = [];
    for (const [done, file] of sorted.flat().entries()) {
      if (files.length > 1) tell(`Taking ${file.name}, ${done + 1} of ${files.length}`);
      try {
        if (sorted[0].includes(file)) {
          const told = await takeImage(file);
          added.push(told.id);
          if (told.words) words.push(told.words);
        } else words.push(await takeLandmarks(file, sorted[1].length === 1));
      } catch (error) {
        errors.push(error.message.startsWith(file.name) ? error.message : `${file.name}: ${error.message}`);
      }
    }
    await sync().catch(() => {});
    if (added.length) words.unshift(`${added.length} ${added.length === 1 ? "image" : "images"} taken into the review's folder.`);
    tell(words.slice(0, 8).join(" "));
    if (errors.length) complain(new Error(errors.slice(0, 5).join("\n") + (errors.length > 5 ? `\nand ${errors.length - 5} more` : "")));
    if (added.length) await open(added[0]);
  }).catch(complain).finally(() => { busy -= 1; });
}

async function save(told, work) {
  const formats = [...document.querySelectorAll("#formats input:checked")].map((box) => box.value);
  told.textContent = "…";
  try {
    told.textContent = await work({ formats, accepted_only: by("accepted-only").checked });
  } catch (error) { told.textContent = error.message; }
}
const list = (names, most = 6) => `${names.slice(0, most).join(", ")}${names.length > most ? `, and ${names.length - most} more` : ""}`;

export function listen(page) {
  const taken = (files) => takeAll(files, page);
  by("file").addEventListener("change", () => { taken([...by("file").files]); by("file").value = ""; });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.types.includes("Files")) taken(dropped(event.dataTransfer));
  });

  const told = by("saving-text");
  by("export").addEventListener("click", async () => {
    told.textContent = "";
    by("saving").showModal();
    // What is in the folder is written anew, unless its mark is taken away.
    const { formats } = await json("export").catch(() => ({ formats: [] }));
    if (formats.length) for (const box of document.querySelectorAll("#formats input")) box.checked = formats.includes(box.value);
  });
  by("saving-close").addEventListener("click", () => by("saving").close());
  by("save").addEventListener("click", () => save(told, async (wish) => {
    const { told, folder } = await json("export", wish);
    const more = [[told.removed, "Removed, as they are of an earlier save:"], [told.kept, "Changed since an earlier save, and kept:"],
      [told.failed, "Not saved:"], [told.lost, "Note:"], [told.left_out, "Left out, as the images are gone or can't be read:"], [told.replaced, "Replaced since their points were placed; look at them again:"]];
    return [`Saved in ${folder}: ${list(told.files, 12)}.`, ...more.filter(([names]) => names.length).map(([names, words]) => `${words} ${list(names)}.`)].join(" ");
  }));
  by("download").addEventListener("click", () => save(told, async (wish) => {
    const answer = await ask("download", wish);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = answer.headers.get("x-name") ?? "landmarks";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    return `Downloaded: ${link.download}.`;
  }));
  by("save-template").addEventListener("click", () => save(told, async () =>
    `Saved: ${(await json(`images/${image().id}/template`, {})).files.join(", ")}.`));
}
