// The page of `infomark review` in a headless Chromium: placing, matching, correcting, saving, reloading, keys, two tabs, axe.
//
//   INFOMARK=path/to/infomark CHROMIUM=/usr/bin/chromium node --test review.test.mjs
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { before, test } from "node:test";
import { browser, choose, clickImage, folder, grey, infomark, marks, open, saved, serve } from "./review-page.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

before(() => {
  execFileSync(infomark, ["demo", "--out", "demo", "--steps", "3", "--images", "16"], { cwd: folder, stdio: "ignore" });
  cpSync(path.join(folder, "demo/test/images"), path.join(folder, "images"), { recursive: true });
  writeFileSync(path.join(folder, "images/broken.png"), "no image");
  // A large image, 16 bits: a ramp with some structure.
  mkdirSync(path.join(folder, "large"));
  writeFileSync(path.join(folder, "large/large.pgm"), grey(2400, 1935, (x, y) => (x * 20 + y * 7) % 60000));
});

test("placing, matching, correcting, accepting, saving, and a reload", async () => {
  const { address } = await serve("whole");
  const { page, complaints } = await open(address);
  assert.ok(!page.url().includes("token"), "the token leaves the address");
  await clickImage(page, 0.5, 0.4);
  await clickImage(page, 0.55, 0.6);
  // Beside the image nothing is placed.
  await clickImage(page, 0.004, 0.5);
  assert.equal((await marks(page)).filter((text) => text.includes("placed by hand")).length, 2);
  await page.locator("#marks button").first().click();
  await page.click("#rename");
  await page.fill("#naming-name", "sella");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("marks").textContent.includes("sella"));
  await saved(page);
  await page.click("#use-template");
  await saved(page);
  await page.click("#match");
  await page.waitForFunction(() => /images matched with 1 template/.test(document.getElementById("job-text").textContent), null, { timeout: 120000 });
  await page.locator("#image-list button", { hasText: "uncertainty" }).first().click();
  await page.waitForFunction(() => document.getElementById("marks").textContent.includes("matched, score"));
  await page.waitForTimeout(300);
  // Drags the chosen point: its place is read off the marks by choosing it and asking the page.
  const name = await page.textContent("#image-name");
  await page.locator("#marks button", { hasText: "sella" }).click();
  await page.locator("#canvas").focus();
  await page.keyboard.press("Shift+ArrowRight");
  await page.waitForFunction(() => document.getElementById("marks").textContent.includes("corrected by hand"));
  await saved(page);
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => !document.getElementById("marks").textContent.includes("corrected by hand"));
  await page.keyboard.press("Control+Shift+z");
  await page.waitForFunction(() => document.getElementById("marks").textContent.includes("corrected by hand"));
  await saved(page);
  await page.keyboard.press("a");
  await page.waitForFunction((name) => [...document.querySelectorAll("#image-list button")].some((row) => row.textContent.includes(name) && row.textContent.includes("accepted")), name);
  await page.keyboard.press("m");
  await page.waitForFunction(() => /images matched with 2 templates/.test(document.getElementById("job-text").textContent), null, { timeout: 120000 });
  await page.click("#export");
  await page.check("#formats input[value=coco]");
  await page.click("#save");
  await page.waitForFunction(() => document.getElementById("saving-text").textContent.startsWith("Saved"));
  for (const file of ["landmarks.csv", "landmarks.coco.json", "review.json"]) assert.ok(existsSync(path.join(folder, "whole/export", file)), file);
  await page.keyboard.press("Escape");
  await page.reload();
  await page.waitForFunction((name) => [...document.querySelectorAll("#image-list button")].some((row) => row.textContent.includes(name) && row.textContent.includes("accepted")), name);
  await choose(page, name);
  await page.waitForFunction(() => document.getElementById("marks").textContent.includes("corrected by hand"));
  assert.deepEqual(complaints, []);
});

test("each image begins with its first landmark, a click too many adds none, and one format that fails leaves the others", async () => {
  const { address } = await serve("turns");
  const { page, complaints } = await open(address);
  const placed = async () => (await marks(page)).map((text) => text.includes("placed by hand"));
  const moveOn = async () => {
    const name = await page.textContent("#image-name");
    await page.keyboard.press("a");
    await page.waitForFunction((name) => document.getElementById("image-name").textContent !== name && document.getElementById("where").textContent.includes("zoom"), name);
    await page.waitForTimeout(300);
  };
  for (const x of [0.45, 0.5, 0.55]) await clickImage(page, x, 0.5);
  await saved(page);
  await moveOn();
  assert.deepEqual(await placed(), [false, false, false]);
  await clickImage(page, 0.4, 0.4);
  await saved(page);
  assert.deepEqual(await placed(), [true, false, false]);
  // A click close beside a point places the next landmark, and no message moves the image under the mouse.
  const box = () => page.locator("#canvas").boundingBox();
  const at = await box();
  await clickImage(page, 0.4 + 8 / at.width, 0.4);
  assert.deepEqual(await placed(), [true, true, false]);
  for (const x of [0.5, 0.55]) await clickImage(page, x, 0.6);
  await page.waitForFunction(() => document.getElementById("notice-text").textContent.includes("All landmarks are placed"));
  assert.deepEqual(await box(), at);
  await saved(page);
  assert.deepEqual(await placed(), [true, true, true]);
  await page.fill("#add-name", "extra");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll("#marks button").length === 4);
  assert.ok(await page.isHidden("#notice"), "the message is past");
  await page.locator("#canvas").focus();
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => document.querySelectorAll("#marks button").length === 3);
  await page.keyboard.press("Control+Shift+z");
  await page.waitForFunction(() => document.querySelectorAll("#marks button").length === 4);
  await page.locator("#marks button", { hasText: "extra" }).click();
  await page.locator("#canvas").focus();
  await page.keyboard.press("x");
  await page.waitForFunction(() => document.getElementById("marks").textContent.includes("absent"));
  await saved(page);
  await moveOn();
  await page.keyboard.press("c");
  await saved(page);
  assert.deepEqual(await placed(), [true, true, true, false], "copied from the image that was shown before");
  await page.click("#export");
  await page.check("#formats input[value=isbi]");
  await page.click("#save");
  await page.waitForFunction(() => /^Saved.*Not saved: .*isbi/.test(document.getElementById("saving-text").textContent));
  assert.ok(existsSync(path.join(folder, "turns/export/landmarks.csv")));
  assert.deepEqual(complaints, []);
});

test("the keyboard alone places, moves, clears and accepts", async () => {
  const { address } = await serve("keys");
  const { page, complaints } = await open(address);
  for (let i = 0; i < 80 && (await page.evaluate(() => document.activeElement.id)) !== "canvas"; i++) await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "canvas");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("marks").textContent.includes("placed by hand"));
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("+");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll("#marks button").length === 2);
  await saved(page);
  await page.keyboard.press("p");
  await page.waitForFunction(() => document.querySelector("#marks [aria-current]").textContent.includes("point 1"));
  await page.keyboard.press("Delete");
  await page.waitForFunction(() => document.getElementById("marks").textContent.includes("cleared"));
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => !document.getElementById("marks").textContent.includes("cleared"));
  await saved(page);
  const first = await page.textContent("#image-name");
  await page.keyboard.press("]");
  await page.waitForFunction((first) => document.getElementById("image-name").textContent !== first, first);
  await page.keyboard.press("[");
  await page.waitForFunction((first) => document.getElementById("image-name").textContent === first, first);
  await page.keyboard.press("r");
  await page.waitForFunction(() => document.getElementById("image-list").textContent.includes("rejected"));
  await page.keyboard.press("?");
  assert.ok(await page.locator("#keys").evaluate((dialog) => dialog.open));
  await page.keyboard.press("Escape");
  // In a small window a dialog is read from its top.
  const before = page.viewportSize();
  await page.setViewportSize({ width: 800, height: 400 });
  await page.keyboard.press("?");
  const { top, rest } = await page.locator("#keys").evaluate((dialog) => ({ top: dialog.scrollTop, rest: dialog.scrollHeight - dialog.clientHeight }));
  assert.ok(top === 0 && rest > 0, `${top} of ${rest}`);
  await page.keyboard.press("Escape");
  await page.setViewportSize(before);
  // Tab leaves the canvas in the end.
  await page.locator("#canvas").focus();
  for (let i = 0; i < 4; i++) await page.keyboard.press("Tab");
  assert.notEqual(await page.evaluate(() => document.activeElement.id), "canvas");
  assert.deepEqual(complaints, []);
});

test("two tabs see each other's changes, and a killed server loses nothing", async () => {
  const { address, child } = await serve("tabs");
  const { page: one } = await open(address);
  const { page: two } = await open(address);
  await clickImage(one, 0.4, 0.5);
  await two.waitForFunction(() => document.getElementById("marks").textContent.includes("placed by hand"));
  await two.keyboard.press("Escape");
  await clickImage(two, 0.6, 0.5);
  await one.waitForFunction(() => document.querySelectorAll("#marks button").length === 2);
  child.kill("SIGKILL");
  await one.waitForFunction(() => document.getElementById("alert-text").textContent.includes("does not answer"));
  assert.equal(await one.textContent("#saved"), "not connected");
  const { address: again } = await serve("tabs");
  const { page } = await open(again);
  await page.waitForFunction(() => document.getElementById("marks").textContent.split("placed by hand").length === 3);
});

test("a file that is no image is told, and so is a missing token", async () => {
  const { address } = await serve("errors");
  const { page } = await open(address);
  await page.locator("#image-list button", { hasText: "broken.png" }).click();
  await page.waitForFunction(() => document.getElementById("alert-text").textContent.startsWith("broken.png: not a PNG"));
  const context = await browser.newContext();
  const bare = await context.newPage();
  await bare.goto(address.split("?")[0]);
  await bare.waitForFunction(() => document.getElementById("alert-text").textContent.includes("token"));
});

test("an image of 2400 x 1935 pixels pans and zooms smoothly", async () => {
  const { address } = await serve("smooth", "large", []);
  const { page, complaints } = await open(address);
  assert.ok((await page.textContent("#where")).includes("2400 x 1935"));
  const ms = await page.evaluate(async () => {
    const canvas = document.getElementById("canvas");
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const box = canvas.getBoundingClientRect();
    await frame();
    const start = performance.now();
    for (let i = 0; i < 60; i++) {
      canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: i % 20 < 10 ? -1 : 1, clientX: box.x + 5 * i, clientY: box.y + 200, cancelable: true }));
      await frame();
    }
    return performance.now() - start;
  });
  assert.ok(ms < 2000, `60 frames took ${ms} ms`);
  assert.deepEqual(complaints, []);
});

for (const [name, options] of [["light", { colorScheme: "light" }], ["dark", { colorScheme: "dark" }], ["on a phone", { viewport: { width: 360, height: 740 }, isMobile: true }]]) {
  test(`axe finds nothing serious, ${name}`, async () => {
    const { address } = await serve(`axe ${name}`);
    // The test's own script is none of the page's.
    const { page } = await open(address, { ...options, bypassCSP: true });
    await page.locator("#add-name").fill("sella");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelectorAll("#marks button").length === 1);
    for (const dialog of [null, "#help", "#export"]) {
      if (dialog) await page.click(dialog);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run());
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes[0].html]), []);
      if (dialog) await page.keyboard.press("Escape");
    }
    const [wide, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= shown, `${wide} pixels on a screen of ${shown}`);
  });
}
