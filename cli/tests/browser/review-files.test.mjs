// The page of `infomark review` in a headless Chromium: files that come and go, undo, slow disks, windows, names that are markup.
//
//   INFOMARK=path/to/infomark CHROMIUM=/usr/bin/chromium node --test review-files.test.mjs
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { choose, clickImage, folder, grey, marks, open, saved, serve } from "./review-page.mjs";

const text = (page, id, words, timeout = 20000) => page.waitForFunction(([id, words]) => document.getElementById(id).textContent.includes(words), [id, words], { timeout });
const ramp = (seed) => grey(80, 64, (x, y) => 100 * x + 7 * y + seed);
const fresh = (name, files) => {
  mkdirSync(path.join(folder, name), { recursive: true });
  for (const [file, bytes] of Object.entries(files)) writeFileSync(path.join(folder, name, file), bytes);
  return name;
};

test("images and landmark files that are chosen or dropped together are all taken", async () => {
  const { address } = await serve("dropped", fresh("empty", {}), []);
  const { page, complaints } = await open(address, {}, "none");
  assert.ok(await page.locator("#none").isVisible());
  await page.setInputFiles("#file", [
    { name: "points.csv", mimeType: "text/csv", buffer: Buffer.from("image,landmark,x,y\na.pgm,sella,10,20\nb.pgm,sella,11,21\n") },
    { name: "a.pgm", mimeType: "", buffer: ramp(1) },
    { name: "b.pgm", mimeType: "", buffer: ramp(2) },
    { name: "bad.png", mimeType: "", buffer: Buffer.from("no image") },
    { name: "b.txt", mimeType: "", buffer: Buffer.from("12,22\n") },
  ]);
  await text(page, "notice-text", "2 images taken");
  await text(page, "alert-text", "bad.png: not a PNG");
  await text(page, "images-title", "2 of 2");
  assert.ok((await page.textContent("#notice-text")).includes("2 points of 2 images"));
  await choose(page, "b.pgm");
  await page.waitForFunction(() => document.querySelectorAll("#marks button").length === 2);
  assert.ok((await marks(page)).every((words) => words.includes("from a file")));
  assert.deepEqual(readdirSync(path.join(folder, "dropped/images")).sort(), ["a.pgm", "b.pgm"]);
  // By dropping, and the same image once more.
  await page.evaluate((bytes) => {
    const transfer = new DataTransfer();
    for (const [name, seed] of [["c.pgm", 0], ["again.pgm", 0]]) transfer.items.add(new File([new Uint8Array(bytes)], name));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }, [...ramp(3)]);
  await text(page, "notice-text", "again.pgm is there already as c.pgm");
  await text(page, "images-title", "3 of 3");
  // The browser says that 422 came back.
  assert.deepEqual(complaints.filter((words) => !words.includes("422")), []);
});

test("presses that come faster than they are saved all count, and one undo step at a time takes them back", async () => {
  const { address } = await serve("slow", fresh("one", { "a.pgm": ramp(1) }), []);
  const { page } = await open(address);
  await clickImage(page, 0.5, 0.5);
  await page.route("**/edit", async (route) => { await new Promise((done) => setTimeout(done, 150)); await route.continue(); });
  const at = async () => (await page.evaluate(async () => {
    const answer = await fetch("/api/state", { headers: { "x-infomark-token": sessionStorage.getItem("token") } });
    return (await answer.json()).records["a.pgm"].points["point 1"].at;
  }))[0];
  const before = await at();
  const zoom = Number((await page.textContent("#where")).match(/zoom (\d+)/)[1]) / 100;
  await page.locator("#canvas").focus();
  for (let i = 0; i < 24; i++) await page.keyboard.press("ArrowRight");
  await page.waitForTimeout(100);
  await saved(page);
  assert.ok(Math.abs(((await at()) - before) * zoom - 24) < 0.5, `${((await at()) - before) * zoom} pixels of the screen`);
  for (let i = 0; i < 24 && !(await page.locator("#undo").isDisabled()) && (await at()) !== before; i++) {
    await page.keyboard.press("Control+z");
    // The page says so from its next frame on.
    await page.waitForTimeout(100);
    await saved(page);
  }
  assert.equal(await at(), before);
  // Clicks, too.
  await page.unroute("**/edit");
  await page.route("**/setup", async (route) => { await new Promise((done) => setTimeout(done, 200)); await route.continue(); });
  const box = await page.locator("#canvas").boundingBox();
  for (const x of [0.4, 0.45, 0.6]) await page.mouse.click(box.x + box.width * x, box.y + box.height * 0.3);
  await page.waitForFunction(() => document.getElementById("marks").textContent.split("placed by hand").length === 5);
});

test("undo takes back names, decisions and the template, and points by their new names", async () => {
  const { address } = await serve("undo", fresh("two", { "a.pgm": ramp(1), "b.pgm": ramp(2) }), []);
  const { page, complaints } = await open(address);
  await clickImage(page, 0.5, 0.5);
  await page.locator("#marks button").first().click();
  await page.click("#rename");
  await page.fill("#naming-name", "sella");
  await page.keyboard.press("Enter");
  await text(page, "marks", "sella");
  await page.click("#use-template");
  await text(page, "image-state", "template");
  await page.locator("#canvas").focus();
  await page.keyboard.press("a");
  await text(page, "image-name", "b.pgm");
  await page.keyboard.press("Control+z");
  await text(page, "image-name", "a.pgm");
  await text(page, "image-state", "to review");
  assert.ok((await page.getAttribute("#undo", "title")).includes("template"));
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => !document.getElementById("image-state").textContent.includes("template"));
  await page.keyboard.press("Control+z");
  await text(page, "marks", "point 1");
  await page.keyboard.press("Control+Shift+z");
  await text(page, "marks", "sella");
  // The point was placed under its old name.
  await page.keyboard.press("Control+z");
  await page.keyboard.press("Control+z");
  await text(page, "marks", "not placed");
  await page.keyboard.press("Control+Shift+z");
  await text(page, "marks", "placed by hand");
  // A landmark that was removed comes back with its points, and so do the steps before.
  await page.locator("#marks button").first().click();
  await page.click("#remove");
  await page.waitForFunction(() => document.querySelectorAll("#marks button").length === 0);
  await text(page, "notice-text", "point 1 is removed");
  assert.equal(await page.getAttribute("#undo", "title"), "Take back: the removal of point 1");
  await page.keyboard.press("Control+z");
  await text(page, "marks", "point 1placed by hand");
  await page.keyboard.press("Control+z");
  await text(page, "marks", "not placed");
  await page.keyboard.press("Control+Shift+z");
  await text(page, "marks", "placed by hand");
  await page.keyboard.press("Control+Shift+z");
  await page.waitForFunction(() => document.querySelectorAll("#marks button").length === 0);
  assert.deepEqual(complaints, []);
});

test("landmarks that are not visible or absent are marked, undone, kept by a reload and saved", async () => {
  const sopClass = "1.2.840.10008.1.3.10";
  const index = Buffer.concat([Buffer.alloc(128), Buffer.from("DICM\x02\x00\x02\x00UI"), Buffer.from([sopClass.length, 0]), Buffer.from(sopClass)]);
  const { address } = await serve("presence", fresh("seven", { "a.pgm": ramp(1), "b.pgm": ramp(2), DICOMDIR: index }), []);
  const { page, complaints } = await open(address);
  await text(page, "skipped", "1 DICOM file without an image is left out");
  await page.setInputFiles("#file", [{ name: "points.csv", mimeType: "text/csv", buffer: Buffer.from(
    "image,landmark,x,y,visibility\na.pgm,sella,10,20,occluded\na.pgm,nasion,,,absent\na.pgm,menton,30,40,visible\n") }]);
  await text(page, "notice-text", "3 points of 1 image");
  await choose(page, "a.pgm");
  await text(page, "marks", "from a file, not visible");
  await text(page, "marks", "absent, from a file");
  // The file is one step; names of images that are not here are not taken.
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => document.getElementById("marks").textContent.split("not placed").length === 4);
  await page.keyboard.press("Control+Shift+z");
  await text(page, "marks", "absent, from a file");
  await page.setInputFiles("#file", [{ name: "other.csv", mimeType: "text/csv", buffer: Buffer.from("image,landmark,x,y\nz.pgm,porion,1,2\n") }]);
  await text(page, "notice-text", "no such image here: z.pgm");
  assert.equal((await marks(page)).length, 3);
  // Whatever is said to be absent by mistake is where it was.
  await page.locator("#marks button", { hasText: "menton" }).click();
  await page.locator("#canvas").focus();
  await page.keyboard.press("x");
  await page.waitForFunction(() => /menton.*absent/.test(document.getElementById("marks").textContent));
  await page.locator("#marks button", { hasText: "menton" }).click();
  await page.locator("#canvas").focus();
  await page.keyboard.press("x");
  await page.waitForFunction(() => /menton.*placed by hand/.test(document.getElementById("marks").textContent));
  for (let undone = 0; undone < 2; undone++) { await page.keyboard.press("Control+z"); await page.waitForTimeout(150); await saved(page); }
  await page.waitForFunction(() => document.getElementById("marks").textContent.split("from a file").length === 4);
  await choose(page, "b.pgm");
  await text(page, "image-name", "b.pgm");
  const mark = (name) => page.locator("#marks button", { hasText: name });
  await mark("nasion").click();
  await page.locator("#canvas").focus();
  await page.keyboard.press("x");
  await saved(page);
  await page.waitForFunction(() => [...document.querySelectorAll("#marks button")].some((row) => /nasion.*absent/.test(row.textContent)));
  // The next one that is open is chosen, and an absent one is not placed by a click.
  await page.waitForFunction(() => /menton/.test(document.querySelector("#marks [aria-current]").textContent));
  await clickImage(page, 0.5, 0.5);
  await clickImage(page, 0.6, 0.6);
  assert.equal((await marks(page)).filter((words) => words.includes("placed by hand")).length, 2);
  await mark("menton").click();
  await page.locator("#canvas").focus();
  await page.keyboard.press("o");
  await page.waitForFunction(() => document.getElementById("occluded").getAttribute("aria-pressed") === "true");
  // A point that is moved stays as it is; its state can be taken back, and so can that.
  await page.keyboard.press("ArrowRight");
  await saved(page);
  await page.waitForFunction(() => /menton.*not visible/.test(document.querySelector("#marks [aria-current]").textContent));
  for (const press of ["Control+z", "Control+z"]) { await page.keyboard.press(press); await page.waitForTimeout(150); await saved(page); }
  await page.waitForFunction(() => !/not visible/.test(document.querySelector("#marks [aria-current]").textContent));
  for (const press of ["Control+Shift+z", "Control+Shift+z"]) { await page.keyboard.press(press); await page.waitForTimeout(150); await saved(page); }
  await page.waitForFunction(() => /menton.*not visible/.test(document.querySelector("#marks [aria-current]").textContent));
  await page.reload();
  await choose(page, "b.pgm");
  await page.waitForFunction(() => [...document.querySelectorAll("#marks button")].filter((row) => /absent|not visible/.test(row.textContent)).length === 2);
  await page.click("#export");
  await page.uncheck("#accepted-only");
  await page.check("#formats input[value=fcsv]");
  await page.click("#save");
  await text(page, "saving-text", "does not keep which landmarks are absent (2 are)");
  const rows = readFileSync(path.join(folder, "presence/export/landmarks.csv"), "utf8").trim().split("\n");
  assert.equal(rows[0], "image,landmark,x,y,visibility");
  for (const row of ["a.pgm,sella,10,20,occluded", "a.pgm,nasion,,,absent", "a.pgm,menton,30,40,visible", "b.pgm,nasion,,,absent"]) assert.ok(rows.includes(row), row);
  assert.ok(rows.some((row) => /^b.pgm,menton,.*,occluded$/.test(row)), rows.join("\n"));
  assert.deepEqual(complaints, []);
});

test("an image that is replaced is told and shown anew, and one that is gone stays in the list", async () => {
  const { address } = await serve("replaced", fresh("three", { "a.pgm": ramp(1), "b.pgm": ramp(2) }), []);
  const { page } = await open(address);
  await clickImage(page, 0.5, 0.5);
  await page.locator("#image-list button", { hasText: "b.pgm" }).click();
  await text(page, "image-name", "b.pgm");
  await page.waitForTimeout(300);
  await clickImage(page, 0.5, 0.5);
  writeFileSync(path.join(folder, "three/b.pgm"), grey(120, 90, (x, y) => 300 * y + x));
  await text(page, "alert-text", "b.pgm was replaced");
  await text(page, "image-list", "the image was replaced since its points were placed");
  await text(page, "where", "zoom");
  await page.keyboard.press("a");
  await page.waitForFunction(() => !document.getElementById("image-list").textContent.includes("was replaced"));
  // Once more, now that it is accepted: that is what it stays.
  await choose(page, "b.pgm");
  writeFileSync(path.join(folder, "three/b.pgm"), grey(120, 90, (x, y) => 300 * y + 2 * x));
  await text(page, "image-list", "accepted, the image was replaced since its points were placed");
  await page.click("#accept");
  await page.waitForFunction(() => !document.getElementById("image-list").textContent.includes("was replaced"));
  assert.ok((await page.textContent("#image-list")).includes("accepted"));
  // Without its file it can't be accepted.
  await choose(page, "a.pgm");
  rmSync(path.join(folder, "three/a.pgm"));
  await page.click("#accept");
  await text(page, "alert-text", "a.pgm: the image is gone");
});

test("keys show where they place: a cross in the middle", async () => {
  const { address } = await serve("reticle", fresh("four", { "a.pgm": ramp(1) }), []);
  const { page } = await open(address);
  // What is right of the middle, where the cross has an arm.
  const arm = () => page.evaluate(() => {
    const canvas = document.getElementById("canvas");
    const { data } = canvas.getContext("2d").getImageData(canvas.width / 2 + 8, canvas.height / 2 - 3, 16, 6);
    return Math.max(...data.filter((_, i) => i % 4 === 0));
  });
  assert.ok((await arm()) < 240, "no cross before keys are used");
  for (let i = 0; i < 80 && (await page.evaluate(() => document.activeElement.id)) !== "canvas"; i++) await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "canvas");
  for (const end = Date.now() + 10_000; (await arm()) <= 240; ) assert.ok(Date.now() < end, "no cross");
});

test("window and level reach all of a file's range, beyond what infomark reads", async () => {
  // One pixel in 5,000 is far brighter than the rest.
  const { address } = await serve("window", fresh("five", { "a.pgm": grey(100, 100, (x, y) => (x === 50 && y % 50 === 0 ? 60000 : 500 + 10 * x)) }), []);
  const { page, complaints } = await open(address);
  // Set when the image has come.
  await page.waitForFunction(() => Number(document.getElementById("level").max) > 1000);
  // How different two places are that differ by 800 of 60,000 levels.
  const contrast = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
    const canvas = document.getElementById("canvas"), light = (x) => canvas.getContext("2d").getImageData(canvas.width / 2 + x, canvas.height / 2 + 20, 1, 1).data[0];
    done(light(250) - light(-250));
  }))));
  const until = async (right, words) => { for (const end = Date.now() + 10_000; !right(await contrast()); ) assert.ok(Date.now() < end, words); };
  await until((levels) => levels > 150, "as infomark reads it");
  await page.fill("#window", "100");
  await until((levels) => levels < 10, "the whole range");
  await page.click("#grey");
  await until((levels) => levels > 150, "as infomark reads it, again");
  assert.deepEqual(complaints, []);
});

test("every format can be downloaded", async () => {
  const { address } = await serve("downloads", fresh("six", { "a.pgm": ramp(1) }), []);
  const { page } = await open(address);
  await clickImage(page, 0.5, 0.5);
  await page.click("#export");
  await page.uncheck("#accepted-only");
  const download = async () => {
    const [got] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
    return [got.suggestedFilename(), readFileSync(await got.path())];
  };
  const [name, table] = await download();
  assert.equal(name, "landmarks.csv");
  assert.ok(table.toString().startsWith("image,landmark,x,y"));
  for (const format of ["slicer", "coco", "labelme", "isbi"]) await page.check(`#formats input[value=${format}]`);
  const [archive, bytes] = await download();
  assert.equal(archive, "landmarks.zip");
  assert.equal(bytes.subarray(0, 2).toString(), "PK");
});

test("names that are markup are text", async () => {
  const name = `<img src=x onerror=fetch('http:evil.example')> & "q".pgm`;
  const images = fresh("seven", {});
  writeFileSync(path.join(folder, images, name), ramp(1));
  const { address } = await serve("markup", images, []);
  const { page, complaints } = await open(address);
  await page.fill("#add-name", "<script>alert(1)</script>");
  await page.keyboard.press("Enter");
  await text(page, "marks", "<script>alert(1)</script>");
  await clickImage(page, 0.5, 0.5);
  await page.click("#export");
  await page.uncheck("#accepted-only");
  await page.click("#save");
  await text(page, "saving-text", "Saved in");
  assert.equal(await page.textContent("#image-name"), name);
  assert.deepEqual(complaints, []);
});

test("two fingers zoom and place nothing", async () => {
  const { address } = await serve("fingers", fresh("eight", { "a.pgm": ramp(1) }), []);
  const { page } = await open(address, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  const zoom = async () => Number((await page.textContent("#where")).match(/zoom (\d+)/)[1]);
  const before = await zoom();
  await page.evaluate(() => {
    const canvas = document.getElementById("canvas"), box = canvas.getBoundingClientRect();
    canvas.setPointerCapture = () => {};
    const send = (type, pointerId, x) => canvas.dispatchEvent(new PointerEvent(type, { pointerId, pointerType: "touch", button: 0, clientX: box.x + x, clientY: box.y + 150, bubbles: true }));
    send("pointerdown", 1, 140); send("pointerdown", 2, 180);
    for (let i = 0; i <= 40; i += 4) { send("pointermove", 1, 140 - i); send("pointermove", 2, 180 + i); }
    send("pointerup", 1, 100); send("pointerup", 2, 220);
  });
  await page.waitForTimeout(200);
  assert.ok((await zoom()) > 2 * before, `${before} to ${await zoom()}`);
  assert.equal((await marks(page)).length, 0);
});
