// Two readers: the second one's points on the page, and how far both agree.
//
//   INFOMARK=path/to/infomark CHROMIUM=/usr/bin/chromium node --test review-readers.test.mjs
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { before, test } from "node:test";
import { choose, folder, grey, open, saved, serve } from "./review-page.mjs";

const table = (dx) => `image,landmark,x,y\n${["a", "b", "c"].map((image, i) => `${image}.pgm,sella,${100 + dx + i},80\n${image}.pgm,nasion,200,${120 + 2 * dx}\n`).join("")}`;
const MM = ["--spacing", "0.5", "0.5"];

before(() => {
  mkdirSync(path.join(folder, "heads"));
  for (const name of ["a", "b", "c"]) writeFileSync(path.join(folder, `heads/${name}.pgm`), grey(300, 240, (x, y) => (x * 60 + y * 40) % 60000));
  writeFileSync(path.join(folder, "one.csv"), table(0));
  writeFileSync(path.join(folder, "two.csv"), table(4));
});

const accept = async (page, name) => {
  await choose(page, name);
  await page.waitForFunction((name) => document.getElementById("image-name").textContent === name && document.getElementById("where").textContent.includes("zoom"), name);
  await page.keyboard.press("a");
  await saved(page);
};
const rows = (page) => page.evaluate(() => [...document.querySelectorAll("#readers-rows tr")].map((row) => [...row.children].map((cell) => cell.textContent)));

test("the second reader's points are shown, and both readers are compared on accepted images", async () => {
  // The other reader works on a review of their own, and has accepted two images.
  const other = await serve("other", "heads", ["--landmarks", "two.csv", ...MM]);
  const { page: theirs } = await open(other.address);
  for (const name of ["a.pgm", "b.pgm"]) await accept(theirs, name);
  const { address } = await serve("own", "heads", ["--landmarks", "one.csv", "--compare", "other", ...MM]);
  const { page, complaints } = await open(address);
  await page.click("#second");
  await page.waitForSelector("#readers[open]");
  assert.match(await page.textContent("#readers-text"), /other\. No image that you accepted/);
  assert.deepEqual(await rows(page), []);
  await page.click("#readers button");
  await accept(page, "a.pgm");
  await accept(page, "b.pgm");
  await page.click("#second");
  await page.waitForSelector("#readers[open]");
  await page.waitForFunction(() => document.querySelectorAll("#readers-rows tr").length === 3);
  // 4 pixels across, and 8 down, of half a millimetre.
  assert.deepEqual(await rows(page), [
    ["sella", "2", "2.00", "2.00, 0.00", "0.00, 0.00"], ["nasion", "2", "4.00", "0.00, 4.00", "0.00, 0.00"], ["all", "4", "3.00", "1.00, 2.00", "1.15, 2.31"],
  ]);
  assert.match(await page.textContent("#readers-text"), /Compared in 2 images.*Lengths in mm/);
  await page.click("#readers button");
  // On the image, until the key hides them.
  const isSeen = (wanted) => page.waitForFunction((wanted) => {
    const canvas = document.getElementById("canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) count += data[i] > 200 && Math.abs(data[i + 1] - 157) < 45 && data[i + 2] < 140;
    return count > 20 === wanted;
  }, wanted);
  await choose(page, "a.pgm");
  await isSeen(true);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  await page.keyboard.press("s");
  await isSeen(false);
  assert.deepEqual(complaints, []);
});

test("a landmark file is a second reader too, and there is none without", async () => {
  const { address } = await serve("file", "heads", ["--landmarks", "one.csv", "--compare", "two.csv"]);
  const { page } = await open(address);
  for (const name of ["a.pgm", "b.pgm", "c.pgm"]) await accept(page, name);
  await page.click("#second");
  await page.waitForSelector("#readers[open]");
  await page.waitForFunction(() => document.querySelectorAll("#readers-rows tr").length === 3);
  assert.deepEqual((await rows(page))[0].slice(0, 3), ["sella", "3", "4.00"]);
  assert.match(await page.textContent("#readers-text"), /Lengths in px/);
  const alone = await open((await serve("alone", "heads", [])).address);
  assert.ok(await alone.page.locator("#second").isHidden());
});
