// A scheme on the page of `infomark review`: order, definitions, live measurements, points of the image before.
//
//   INFOMARK=path/to/infomark CHROMIUM=/usr/bin/chromium node --test review-scheme.test.mjs
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { before, test } from "node:test";
import { choose, clickImage, folder, grey, infomark, marks, open, saved, serve } from "./review-page.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SCHEME = ["--scheme", "ceph", "--spacing", "0.3", "0.4"];

before(() => {
  mkdirSync(path.join(folder, "heads"));
  for (const name of ["a", "b"]) writeFileSync(path.join(folder, `heads/${name}.pgm`), grey(400, 500, (x, y) => (x * 60 + y * 40) % 60000));
});

const measured = (page) => page.evaluate(() => Object.fromEntries([...document.querySelectorAll("#measurements tr")].map((row) => [row.children[0].textContent, row.children[1].textContent])));
const waitFor = (page, name, text) => page.waitForFunction(([name, text]) => [...document.querySelectorAll("#measurements tr")].some((row) => row.children[0].textContent === name && row.children[1].textContent.includes(text)), [name, text]);

test("clicks place the landmarks in order, and measurements are those of the command line", async () => {
  const { address } = await serve("scheme", "heads", SCHEME);
  const { page, complaints } = await open(address);
  await choose(page, "a.pgm");
  const names = (await marks(page)).map((text) => text.replace(/^○/, "").replace(/not placed$/, ""));
  assert.deepEqual(names.slice(0, 4), ["sella", "nasion", "orbitale", "porion"]);
  await waitFor(page, "SNA", "sella is missing");
  await page.locator("#marks button").first().click();
  await page.waitForFunction(() => document.getElementById("definition").textContent.startsWith("Sella (S) Centre of the hypophyseal fossa"));
  // The scheme's drawing shows where it is, and its name is the scheme's.
  await page.waitForSelector("#drawing svg circle");
  assert.ok(await page.locator("#drawing svg").evaluate((svg) => svg.getBoundingClientRect().height > 60));
  assert.ok(await page.locator("#around").isHidden(), "no other image has it yet");
  assert.ok(await page.locator("#rename").isDisabled());
  // Sella, nasion, orbitale, porion, subspinale, supramentale; the next one is chosen by itself.
  await page.locator("#canvas").focus();
  for (const [x, y] of [[0.4, 0.3], [0.6, 0.32], [0.57, 0.4], [0.38, 0.4], [0.6, 0.55], [0.58, 0.7]]) await place(page, x, y);
  assert.equal(await page.textContent("#marks [aria-current] b"), "pogonion");
  await page.waitForFunction(() => /°$/.test([...document.querySelectorAll("#measurements tr")].find((row) => row.textContent.startsWith("ANB"))?.children[1].textContent));
  const before = await measured(page);
  // While a point is dragged its measurements follow, before anything is saved.
  await page.locator("#marks button", { hasText: "subspinale" }).click();
  const box = await page.locator("#canvas").boundingBox();
  const [x, y] = [box.x + box.width * 0.6, box.y + box.height * 0.55];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 40, y, { steps: 8 });
  await page.waitForFunction((old) => [...document.querySelectorAll("#measurements tr")].some((row) => row.textContent.startsWith("SNA") && row.children[1].textContent !== old), before.SNA);
  assert.equal(await page.textContent("#saved"), "all saved", "nothing is sent but the question");
  await page.mouse.up();
  await saved(page);
  await page.waitForTimeout(200);
  const after = await measured(page);
  assert.ok(parseFloat(after.SNA) > parseFloat(before.SNA), "point A went to the front");
  assert.equal(after.SNB, before.SNB);
  // The command line says the same of what is saved.
  await page.click("#export");
  await page.check("#formats input[value=measurements]");
  await page.uncheck("#accepted-only");
  await page.click("#save");
  await page.waitForFunction(() => document.getElementById("saving-text").textContent.includes("measurements.csv"));
  await page.keyboard.press("Escape");
  const review = path.join(folder, "scheme/export");
  execFileSync(infomark, ["measure", path.join(review, "landmarks.csv"), "--scheme", "ceph", "--spacing", "0.3", "0.4", "--out", "own.csv"], { cwd: folder });
  const own = readFileSync(path.join(folder, "own.csv"), "utf8");
  assert.equal(readFileSync(path.join(review, "measurements.csv"), "utf8"), own);
  for (const row of own.split("\n").filter((row) => row.includes(",deg,"))) {
    const [, name, value] = row.split(",");
    assert.equal(after[name], `${Number(value).toFixed(2)}°`);
  }
  await page.keyboard.press("Control+z");
  await waitFor(page, "SNA", before.SNA);
  assert.deepEqual(complaints, []);
});

const placed = async (page) => (await marks(page)).filter((text) => text.includes("placed by hand")).length;
// Clicks until a point is placed: while pixels are on their way, clicks place none.
async function place(page, x, y) {
  const before = await placed(page);
  for (let i = 0; i < 20 && (await placed(page)) === before; i++) await clickImage(page, x, y);
  assert.equal(await placed(page), before + 1);
}

test("points of the image before are copied, moved and taken back", async () => {
  const { address } = await serve("copy", "heads", SCHEME);
  const { page, complaints } = await open(address);
  await page.selectOption("#order", "name");
  await choose(page, "a.pgm");
  await page.locator("#canvas").focus();
  for (const [x, y] of [[0.4, 0.3], [0.6, 0.32], [0.5, 0.5]]) await place(page, x, y);
  assert.ok(await page.locator("#copy").isDisabled(), "there is none before the first");
  await page.keyboard.press("a");
  await choose(page, "b.pgm");
  await page.waitForFunction(() => document.getElementById("image-name").textContent === "b.pgm" && document.getElementById("where").textContent.includes("zoom"));
  await page.locator("#canvas").focus();
  await place(page, 0.45, 0.35);
  assert.match((await marks(page))[0], /^◎sella/, "an image begins with its first landmark");
  // The image that is accepted shows where the next landmark is.
  await page.waitForFunction(() => document.getElementById("around").textContent.includes("in a.pgm") && document.querySelector("#around img").naturalWidth === 240);
  await page.keyboard.press("c");
  await saved(page);
  await page.waitForFunction(() => document.getElementById("marks").textContent.split("placed by hand").length === 4);
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => document.getElementById("marks").textContent.split("placed by hand").length === 2);
  assert.equal(await placed(page), 1, "the own point stays");
  await page.keyboard.press("Control+Shift+z");
  await page.waitForFunction(() => document.getElementById("marks").textContent.split("placed by hand").length === 4);
  await saved(page);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  assert.deepEqual(complaints, []);
});

test("axe finds nothing serious with a scheme", async () => {
  const { address } = await serve("axe scheme", "heads", SCHEME);
  const { page } = await open(address, { bypassCSP: true });
  await page.locator("#marks button").first().click();
  await waitFor(page, "SNA", "missing");
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes[0].html]), []);
});
