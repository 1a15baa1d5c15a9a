// The page of `infomark report` in a headless Chromium: keys, zoom, no other host, no error, axe.
//
//   INFOMARK=path/to/infomark CHROMIUM=/usr/bin/chromium node --test report.test.mjs
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const infomark = process.env.INFOMARK ?? "infomark";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const folder = mkdtempSync(path.join(tmpdir(), "infomark-report-"));
let browser;

before(async () => {
  // Generated radiographs, an encoder that has hardly learnt, and its evaluation.
  execFileSync(infomark, ["demo", "--out", "demo", "--steps", "3", "--images", "16"], { cwd: folder, stdio: "ignore" });
  execFileSync(infomark, ["evaluate", "--model", "demo/encoder.onnx", "--data", "demo/test",
    "--random-templates", "2", "--out", "scores"], { cwd: folder, stdio: "ignore" });
  execFileSync(infomark, ["report", "scores"], { cwd: folder, stdio: "ignore" });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
});
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => /^(file|data):/.test(request.url()) || complaints.push(request.url()));
  await page.goto(pathToFileURL(path.join(folder, "scores/report.html")).href);
  return { page, complaints };
}

test("the keyboard alone goes through the pictures", async () => {
  const { page, complaints } = await open();
  const focused = () => page.evaluate(() => document.activeElement.closest(".picture")?.dataset.name);
  await page.keyboard.press("j");
  const first = await focused();
  await page.keyboard.press("j");
  const second = await focused();
  assert.ok(first && second && first !== second);
  await page.keyboard.press("Enter");
  const name = () => page.textContent("#large-name");
  assert.equal(await name(), second);
  await page.keyboard.press("k");
  assert.equal(await name(), first);
  const view = () => page.getAttribute("#stage svg", "viewBox");
  const settled = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const whole = await view();
  await page.keyboard.press("+");
  await settled();
  const near = await view();
  assert.ok(Number(near.split(" ")[2]) < Number(whole.split(" ")[2]));
  await page.keyboard.press("ArrowRight");
  await settled();
  assert.notEqual(await view(), near);
  for (let i = 0; i < 9; i++) await page.keyboard.press("-");
  await settled();
  assert.equal(await view(), whole);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#large").evaluate((dialog) => dialog.open), false);
  assert.equal(await focused(), first, "the focus goes back to the picture");
  assert.deepEqual(complaints, []);
});

test("what is drawn and in which order can be chosen", async () => {
  const { page, complaints } = await open();
  assert.ok(await page.locator(".picture .names").first().isVisible());
  await page.uncheck("[data-show=names]");
  assert.ok(!(await page.locator(".picture .names").first().isVisible()));
  await page.selectOption("#order", "name");
  const names = await page.locator(".picture").evaluateAll((all) => all.map((picture) => picture.dataset.name));
  assert.deepEqual(names, [...names].sort((a, b) => a.localeCompare(b, undefined, { numeric: true })));
  assert.deepEqual(complaints, []);
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious in ${colorScheme}`, async () => {
    const { page } = await open({ colorScheme });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes[0].html]), []);
  });
}

test("a phone shows it without scrolling sideways", async () => {
  const { page, complaints } = await open({ viewport: { width: 360, height: 740 }, isMobile: true });
  const [wide, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= shown, `${wide} pixels on a screen of ${shown}`);
  assert.deepEqual(complaints, []);
});
