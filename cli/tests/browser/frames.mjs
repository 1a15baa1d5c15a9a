// Frames a second of the review page on a large image: zoom, drag, window. Not a test: figures depend on the machine.
//
//   INFOMARK=path/to/infomark CHROMIUM=/usr/bin/chromium node frames.mjs [WIDTH HEIGHT]
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const [width, height] = process.argv.slice(2).map(Number).concat([4000, 5000]);
const folder = mkdtempSync(path.join(tmpdir(), "infomark-frames-"));
mkdirSync(path.join(folder, "images"));
const pixels = Buffer.alloc(width * height * 2);
for (let i = 0; i < width * height; i++) pixels.writeUInt16BE(((i % width) * 13 + ((i / width) | 0) * 7) & 0xffff, 2 * i);
writeFileSync(path.join(folder, "images/large.pgm"), Buffer.concat([Buffer.from(`P5\n${width} ${height}\n65535\n`), pixels]));
const server = spawn(process.env.INFOMARK ?? "infomark", ["review", "images", "--no-open"], { cwd: folder });
const address = await new Promise((done) => { let out = ""; server.stdout.on("data", (data) => { out += data; if (out.includes("\n")) done(out.split("\n")[0]); }); });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await (await browser.newContext({ viewport: { width: 1280, height: 850 } })).newPage();
await page.goto(address);
await page.waitForFunction(() => document.getElementById("where").textContent.includes("zoom"), null, { timeout: 120000 });
await page.waitForTimeout(1000);
// Calls an action before each frame: median and 95th percentile of the time of a frame's own work, and of the time between frames.
const measure = (name, action) => page.evaluate(async ([name, action]) => {
  const canvas = document.getElementById("canvas"), box = canvas.getBoundingClientRect();
  const middle = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true, pointerId: 1 };
  canvas.setPointerCapture = () => {};
  const act = new Function("canvas", "middle", "i", action);
  const gaps = [];
  let before = performance.now();
  for (let i = 0; i < 90; i++) {
    act(canvas, middle, i);
    await new Promise((done) => requestAnimationFrame(done));
    gaps.push(performance.now() - before);
    before = performance.now();
  }
  gaps.sort((a, b) => a - b);
  return `${name}: median ${gaps[45].toFixed(1)} ms, 95 % ${gaps[85].toFixed(1)} ms`;
}, [name, action]);
const wheel = "canvas.dispatchEvent(new WheelEvent('wheel', { ...middle, deltaY: i % 30 < 15 ? -1 : 1, cancelable: true }))";
const drag = (button) => `if (!i) canvas.dispatchEvent(new PointerEvent('pointerdown', { ...middle, button: ${button} })); canvas.dispatchEvent(new PointerEvent('pointermove', { ...middle, clientX: middle.clientX + 40 * Math.sin(i / 5), clientY: middle.clientY + 3 * (i % 20) })); if (i === 89) canvas.dispatchEvent(new PointerEvent('pointerup', { ...middle, clientX: middle.clientX + 9, button: ${button} }));`;
console.log(`${width} x ${height}`);
console.log(await measure("zoom", wheel));
console.log(await measure("window, the whole image", drag(2)));
for (const factor of [1, 2, 3]) {
  for (let i = 0; i < 4; i++) await page.click("#in");
  const zoom = await page.textContent("#where");
  console.log(await measure(`move, ${zoom.match(/zoom \d+ %/)[0]}`, drag(0)));
  console.log(await measure("window", drag(2)));
}
await browser.close();
server.kill();
rmSync(folder, { recursive: true, force: true });
