// The loop on the page of `infomark review`: an encoder is trained, images are annotated in the order that the page proposes, corrected, learnt from.
//
//   INFOMARK=path/to/infomark CHROMIUM=/usr/bin/chromium node --test review-learning.test.mjs
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";
import { before, test } from "node:test";
import { choose, folder, infomark, marks, open, saved, serve } from "./review-page.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const OPTIONS = ["--learn-steps", "3", "--network-steps", "1"];
const text = (page, id, words, timeout = 400000) => page.waitForFunction(([id, words]) => document.getElementById(id).textContent.includes(words), [id, words], { timeout });

// Landmarks of the made-up radiographs, in the order of their names.
let table, names;
before(() => {
  execFileSync(infomark, ["demo", "--out", "demo", "--steps", "1", "--images", "32"], { cwd: folder, stdio: "ignore" });
  cpSync(path.join(folder, "demo/test/images"), path.join(folder, "images"), { recursive: true });
  table = readFileSync(path.join(folder, "demo/test/landmarks.csv"), "utf8").trimEnd().split("\n");
  names = [...new Set(table.slice(1).map((line) => line.split(",")[0]))];
});
const landmarksOf = (some) => [table[0], ...table.slice(1).filter((line) => some.includes(line.split(",")[0]))].join("\n") + "\n";
async function accept(page, name) {
  await choose(page, name);
  await text(page, "image-name", name);
  await page.locator("#canvas").focus();
  await page.keyboard.press("a");
  await page.waitForFunction((name) => [...document.querySelectorAll("#image-list button")].some((row) => row.textContent.includes(name) && row.textContent.includes("accepted")), name);
  await saved(page);
}

test("train, annotate, learn, correct, learn again, save", { timeout: 1500000 }, async () => {
  const { address, child } = await serve("loop", "images", OPTIONS);
  const { page, complaints } = await open(address);
  // The encoders that come with the program are proposed where they suit, before anything is trained.
  await text(page, "encoder-text", "recognised as lateral cephalograms");
  assert.equal(await page.locator("#use-shipped").isHidden(), (await page.textContent("#encoder-text")).includes("too few"));
  assert.equal(await page.inputValue("#steps"), "3");
  // Enough that the training is still under way when it is paused.
  await page.fill("#steps", "10");
  await page.click("#train");
  await text(page, "job-text", "training the encoder: step ");
  // Annotating goes on meanwhile.
  await page.setInputFiles("#file", [{ name: "points.csv", mimeType: "text/csv", buffer: Buffer.from(landmarksOf(names.slice(0, 6))) }]);
  await text(page, "notice-text", "points of 6 images taken");
  await accept(page, names[0]);
  assert.equal(await page.textContent("#stop"), "Pause");
  await page.click("#stop");
  await text(page, "job-text", "training paused after");
  await text(page, "encoder-text", "A training on 8 images stands at step");
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;

  const { address: again } = await serve("loop", "images", OPTIONS);
  const { page: second, complaints: more } = await open(again);
  await text(second, "encoder-text", "of 10.");
  await second.click("#train-on");
  await text(second, "job-text", "encoder trained on 8 images");
  await text(second, "encoder-text", "Encoder: trained on these images.");
  // The next image is one without points, which comes first in the order of the key points.
  await second.keyboard.press("w");
  await second.waitForFunction((others) => others.includes(document.getElementById("image-name").textContent), names.slice(6), { timeout: 400000 });
  await text(second, "notice-text", "key points");
  for (const name of names.slice(1, 4)) await accept(second, name);
  await text(second, "learned-text", "4 of at least 5 accepted images");
  assert.ok(await second.locator("#learn").isDisabled());
  await accept(second, names[4]);
  await second.keyboard.press("l");
  await text(second, "job-text", "learnt from 5 images: held-out error");
  await text(second, "learned-text", "Learnt from 5 images: held-out error");
  // The most uncertain image has proposals; what is corrected in it is learnt.
  await second.click("#next");
  await text(second, "notice-text", "the most uncertain");
  const name = await second.textContent("#image-name");
  assert.match((await marks(second)).join(), /proposed by (templates|network|fusion), score -?\d\.\d+, disagreement \d+\.\d px/);
  await second.check("#learn-at-once");
  await second.locator("#marks button").first().click();
  await second.locator("#canvas").focus();
  await second.keyboard.press("Shift+ArrowRight");
  await text(second, "marks", "corrected by hand");
  await accept(second, name);
  await text(second, "job-text", "learnt from 6 images: held-out error");
  await text(second, "learned-text", ", before ");
  await second.click("#errors");
  await second.waitForSelector("#curve svg");
  assert.equal(await second.locator("#held-out-rows tr").count(), (await marks(second)).length);
  assert.ok(await second.locator("#held-out .wide").evaluate((table) => table.scrollHeight <= table.clientHeight), "no row is cut off");
  assert.match(await second.textContent("#held-out-text"), /Of their 60 points 51 were placed or moved.*Too few images, or too few points placed or moved, for error bounds/);
  assert.match(await second.textContent("#held-out-text"), /All landmarks: \d+\.\d px; templates .* network .* fusion /);
  await second.keyboard.press("Escape");
  // What was learnt is not replaced by matching: it proposes again.
  assert.ok(await second.locator("#at-once").isDisabled());
  await choose(second, names[7]);
  const matched = second.waitForResponse((response) => response.url().endsWith("/api/match"));
  await second.keyboard.press("m");
  assert.equal((await matched).status(), 200);
  await second.waitForTimeout(1500);
  await text(second, "job-text", "learnt from 6 images: held-out error");
  assert.match((await marks(second)).join(), /proposed by (templates|network|fusion)/);
  // A landmark that was not learnt is matched from the image in which it is placed; the others stay as they were proposed.
  await choose(second, names[0]);
  await text(second, "image-name", names[0]);
  await second.fill("#add-name", "extra");
  await second.keyboard.press("Enter");
  await text(second, "marks", "extra");
  await second.locator("#marks button", { hasText: "extra" }).click();
  await second.locator("#canvas").focus();
  await second.keyboard.press("Enter");
  await second.waitForFunction(() => /extra.*placed by hand/.test(document.getElementById("marks").textContent));
  await saved(second);
  await choose(second, names[7]);
  await second.keyboard.press("m");
  await second.waitForFunction(() => /extra.*matched, score/.test(document.getElementById("marks").textContent));
  assert.match((await marks(second))[0], /proposed by (templates|network|fusion)/);
  await second.locator("#marks button", { hasText: "extra" }).click();
  await second.click("#remove");
  await second.waitForFunction(() => !document.getElementById("marks").textContent.includes("extra"));
  await second.click("#export");
  await second.check("#formats input[value=model]");
  await second.click("#save");
  await text(second, "saving-text", "model.infomark");
  assert.ok(existsSync(path.join(folder, "loop/export/model.infomark")));
  execFileSync(infomark, ["match", "--model", "loop/export/model.infomark", "images", "--out", "found"], { cwd: folder, stdio: "ignore" });
  assert.ok(existsSync(path.join(folder, "found/landmarks.csv")));
  await second.keyboard.press("Escape");
  assert.deepEqual([...complaints.filter((text) => !text.includes("ERR_CONNECTION")), ...more], []);

  // A page that is opened later shows what was learnt, to everybody.
  const { page: phone } = await open(again, { viewport: { width: 360, height: 740 }, isMobile: true, bypassCSP: true });
  await text(phone, "learned-text", "Learnt from 6 images");
  for (const dialog of [null, "#errors"]) {
    if (dialog) await phone.click(dialog);
    await phone.evaluate(axe);
    const { violations } = await phone.evaluate(() => window.axe.run());
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes[0].html]), []);
    const [wide, shown] = await phone.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= shown, `${wide} pixels on a screen of ${shown}`);
  }
  if (process.env.INFOMARK_PICTURES) {
    await phone.screenshot({ path: path.join(process.env.INFOMARK_PICTURES, "narrow-errors.png") });
    await phone.keyboard.press("Escape");
    await phone.screenshot({ path: path.join(process.env.INFOMARK_PICTURES, "narrow.png"), fullPage: true });
    await second.screenshot({ path: path.join(process.env.INFOMARK_PICTURES, "wide.png") });
    await second.click("#errors");
    await second.waitForSelector("#curve svg");
    await second.screenshot({ path: path.join(process.env.INFOMARK_PICTURES, "wide-errors.png") });
  }
});
