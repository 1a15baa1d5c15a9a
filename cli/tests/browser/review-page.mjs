// What tests of the review page share: a folder, made images, servers, pages.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before } from "node:test";
import { chromium } from "playwright-core";

export const infomark = process.env.INFOMARK ?? "infomark";
export const folder = mkdtempSync(path.join(tmpdir(), "infomark-review-"));
export let browser;
const servers = [];

// A grey image of 16 bits.
export function grey(width, height, level) {
  const pixels = Buffer.alloc(width * height * 2);
  for (let i = 0; i < width * height; i++) pixels.writeUInt16BE(level(i % width, (i / width) | 0), 2 * i);
  return Buffer.concat([Buffer.from(`P5\n${width} ${height}\n65535\n`), pixels]);
}

// A server on the made images, on a review of its own.
export async function serve(session, images = "images", rest = ["--model", "demo/encoder.onnx"]) {
  const child = spawn(infomark, ["review", images, "--no-open", "--session", session, "--threads", "1", ...rest], { cwd: folder });
  servers.push(child);
  const address = await new Promise((done, failed) => {
    let out = "", told = "";
    child.stdout.on("data", (data) => { out += data; if (out.includes("\n")) done(out.split("\n")[0]); });
    child.stderr.on("data", (data) => { told += data; });
    child.on("exit", () => failed(new Error(told)));
  });
  return { address, child };
}

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
});
after(async () => {
  await browser?.close();
  for (const server of servers) server.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

// A page that shows an image, or the element of this id.
export async function open(address, options = {}, shows = null) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 850 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => /^(data:|blob:|http:\/\/127\.0\.0\.1:)/.test(request.url()) || complaints.push(request.url()));
  await page.goto(address);
  await page.waitForFunction((id) => (id ? !document.getElementById(id).hidden : document.getElementById("where").textContent.includes("zoom")), shows);
  return { page, complaints };
}
export const saved = (page) => page.waitForFunction(() => document.getElementById("saved").textContent === "all saved");
export const choose = (page, name) => page.locator("#image-list button", { hasText: name }).click();
export const marks = (page) => page.locator("#marks button").allTextContents();
export async function clickImage(page, x, y) {
  const box = await page.locator("#canvas").boundingBox();
  await page.mouse.click(box.x + box.width * x, box.y + box.height * y);
  await page.waitForTimeout(100);
  await saved(page);
}

