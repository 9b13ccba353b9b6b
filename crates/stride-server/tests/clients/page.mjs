// The page in a browser: node page.mjs PROGRAM CHROMIUM FOLDER_FOR_SCREENSHOTS
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const [program, chromium, screenshots] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
mkdirSync(screenshots, { recursive: true });
const gallery = mkdtempSync(join(tmpdir(), "stride-gallery-"));

async function serve() {
  const server = spawn(program, ["serve", "--port", "0", "--gallery", gallery], { stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise((resolve) => server.stdout.once("data", (data) => resolve(String(data).trim())));
  const end = () => new Promise((resolve) => { server.once("exit", resolve); server.kill("SIGTERM"); });
  return { url, end };
}

let { url, end } = await serve();
const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox"] });
const problems = [];
const requested = new Set();

async function open(width, height, scheme) {
  const page = await browser.newPage();
  await page.setBypassCSP(true); // for axe, which is no part of the page
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("request", (request) => request.url().startsWith("data:") || requested.add(new URL(request.url()).host));
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById("model").textContent);
  return page;
}

const status = (page) => page.$eval("#status", (node) => node.textContent);
const done = (page) => page.waitForFunction(() => /^(Done|Stopped|Not drawn)/.test(document.getElementById("status").textContent), { timeout: 60000 });
const set = (page, id, value) => page.$eval(`#${id}`, (node, value) => { node.value = value; node.dispatchEvent(new Event("input", { bubbles: true })); }, String(value));
const focused = (page) => page.evaluate(() => document.activeElement.id);

async function check(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  for (const { id, nodes } of violations) problems.push(`${name}: ${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
  const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  if (inner > outer) problems.push(`${name}: scrolls sideways, ${inner} of ${outer} pixels`);
}

// By keyboard alone: the prompt has the focus, Ctrl+Enter draws, the focus stays, the picture has a name.
let page = await open(1280, 900, "light");
assert.equal(await focused(page), "prompt");
await page.keyboard.type("a man with glasses");
await page.keyboard.press("Enter");
await page.keyboard.press("Backspace");
await page.keyboard.down("Control");
await page.keyboard.press("Enter");
await page.keyboard.up("Control");
await done(page);
assert.match(await status(page), /^Done in [\d.]+ s$/);
assert.equal(await focused(page), "prompt");
const seed = await page.$eval("#seed", (node) => node.value);
const steps = await page.$eval("#steps", (node) => node.value);
const name = `a man with glasses, seed ${seed}, ${steps} steps`;
await page.waitForFunction((name) => document.querySelector(`#stage button img[alt="${name}"]`), {}, name);
const names = (tree) => [tree.name, ...(tree.children ?? []).flatMap(names)];
assert(names(await page.accessibility.snapshot()).includes(name), "the picture has no name for screen readers");
assert.match(await page.$eval("#steps-slider", (node) => node.getAttribute("aria-valuetext")), /^\d+ steps?, about [\d.]+ s$/);

// Slider and number are one; the lock keeps the seed, and the dice rolls another.
await page.focus("#steps-slider");
await page.keyboard.press("Home");
assert.equal(await page.$eval("#steps", (node) => node.value), "1");
await page.keyboard.press("ArrowRight");
assert.equal(await page.$eval("#steps", (node) => node.value), "2");
await page.click("#lock");
await page.click("#generate");
await done(page);
assert.equal(await page.$eval("#seed", (node) => node.value), seed);
await page.click("#dice");
assert.notEqual(await page.$eval("#seed", (node) => node.value), seed);

// A window returns the focus to where it came from; ? is a letter in a text field.
await page.focus("#help-button");
await page.keyboard.press("Enter");
assert(await page.$("dialog#help[open]"));
await page.keyboard.press("Escape");
assert.equal(await focused(page), "help-button");
await page.keyboard.type("?");
assert(await page.$("dialog#help[open]"));
await page.keyboard.press("Escape");
await page.focus("#prompt");
await page.keyboard.type("?");
assert.equal(await page.$("dialog[open]"), null);

// Unknown words are named while typing; wrong numbers are told beside their field.
await set(page, "prompt", "a man with glases and a xyzzy");
await page.waitForFunction(() => document.querySelector("#marks mark"));
assert.match(await page.$eval("#words", (node) => node.textContent), /never saw: .*xyzzy/);
await set(page, "steps", 500);
await page.click("#generate");
assert.equal(await page.$eval("#steps", (node) => node.getAttribute("aria-invalid")), "true");
assert(await page.$eval("#steps-error", (node) => !node.hidden && node.textContent.length > 0));
assert.equal(await focused(page), "steps");
await set(page, "prompt", "a woman with red hair");

// Stop ends a long drawing at once, by button and by Escape, and previews appear on the way.
for (const stop of [() => page.click("#stop"), () => page.keyboard.press("Escape")]) {
  await set(page, "steps", 128);
  await set(page, "count", 10);
  await page.click("#generate");
  await page.waitForFunction(() => document.querySelector('#stage img[src^="data:"]'), { timeout: 30000 });
  const start = Date.now();
  await stop();
  await done(page);
  assert.equal(await status(page), "Stopped");
  assert(Date.now() - start < 2000, "Stop takes long");
}

// Strip and grid.
await set(page, "count", 3);
await set(page, "steps", 4);
await page.click("input[value=strip]");
await page.click("#generate");
await done(page);
await page.waitForFunction(() => document.querySelectorAll("#stage button img").length === 8);
await check(page, "strip");
await page.screenshot({ path: join(screenshots, "strip.png") });
await page.click("input[value=grid]");
await set(page, "prompt", "a man with a beard\n\na woman with glasses and a hat\na smiling man");
await page.click("#generate");
await done(page);
await page.waitForFunction(() => document.querySelectorAll("#stage td button img").length === 9);
await check(page, "grid");
await page.screenshot({ path: join(screenshots, "grid.png") });
await page.click("input[value=images]");
await set(page, "prompt", "a smiling woman with long blond hair");
await set(page, "count", 4);
await page.click("#generate");
await done(page);
await page.evaluate(() => scrollTo(0, 0));
await page.screenshot({ path: join(screenshots, "desktop-light.png") });

// The gallery survives the server and the page, and is searched.
const kept = readdirSync(gallery).filter((file) => file.endsWith(".png")).length;
assert(kept >= 20, `${kept} pictures are kept`);
assert.equal(await end(), 0, "SIGTERM ends the server with code 0");
({ url, end } = await serve());
await page.close();
page = await open(1280, 900, "dark");
await page.waitForFunction(() => document.querySelectorAll("#gallery-list li").length > 5);
assert.equal(await page.$eval("#prompt", (node) => node.value), "", "another port is another page");
await set(page, "search", "BEARD man");
await page.waitForFunction(() => { const list = [...document.querySelectorAll("#gallery-list img")]; return list.length > 0 && list.every((image) => image.alt.includes("a man with a beard")); });
await page.click("#gallery-list .tools button");
assert.equal(await page.$eval("#prompt", (node) => node.value), "a man with a beard");
assert.equal(await page.$eval("#lock", (node) => node.getAttribute("aria-pressed")), "true");
assert.equal(await focused(page), "prompt");
const before = (await page.$$("#gallery-list li")).length;
await page.focus("#gallery-list .tools button:last-child");
await page.keyboard.press("Enter");
assert.equal((await page.$$("#gallery-list li")).length, before, "one press deletes nothing");
await page.keyboard.press("Enter");
await page.waitForFunction((before) => document.querySelectorAll("#gallery-list li").length === before - 1, {}, before);
assert.notEqual(await page.evaluate(() => document.activeElement), null);
await set(page, "search", "");
await page.waitForFunction(() => document.querySelectorAll("#gallery-list li").length > 5);
await page.click("#gallery-list .frame");
await page.waitForSelector("dialog#viewer[open]");
await check(page, "viewer, dark");
await page.screenshot({ path: join(screenshots, "viewer-dark.png") });
await page.keyboard.press("Escape");
await page.close();

// Every width (320 pixels are 1280 at a zoom of 400 %) and both themes, with unknown words and an error on the page.
for (const [width, height] of [[320, 640], [390, 844], [1280, 900]]) {
  for (const scheme of ["light", "dark"]) {
    page = await open(width, height, scheme);
    await page.waitForFunction(() => document.querySelectorAll("#gallery-list li").length > 5);
    await set(page, "prompt", "a man with glases and a xyzzy");
    await page.waitForFunction(() => document.querySelector("#marks mark"));
    await check(page, `${width} ${scheme}`);
    const small = await page.$$eval("button, a, input:not([type=radio])", (nodes) =>
      nodes.filter((node) => node.checkVisibility() && !node.matches(".skip, .hint a")).map((node) => [node.getBoundingClientRect(), node.outerHTML.slice(0, 80)])
        .filter(([box]) => box.width < 24 || box.height < 24).map(([, html]) => html));
    if (small.length) problems.push(`${width}: smaller than 24 pixels: ${small.join(" | ")}`);
    await set(page, "prompt", "a man with a hat");
    await page.click("#generate");
    await done(page);
    await page.screenshot({ path: join(screenshots, `page-${width}-${scheme}.png`) });
    await page.screenshot({ path: join(screenshots, `page-${width}-${scheme}-full.png`), fullPage: true });
    await page.close();
  }
}

// Where less motion is asked for, nothing moves while drawing, which otherwise does.
for (const [motion, moves] of [["no-preference", true], ["reduce", false]]) {
  page = await open(1280, 900, "light");
  await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: motion }]);
  await set(page, "prompt", "a man");
  await set(page, "steps", 128);
  await set(page, "count", 10);
  await page.click("#generate");
  await page.waitForFunction(() => document.querySelector('#stage img[src^="data:"]'), { timeout: 30000 });
  const running = await page.evaluate(() => document.getAnimations().filter((each) => each.playState === "running").length);
  assert.equal(running > 0, moves, `${motion}: ${running} things move`);
  await page.click("#stop");
  await done(page);
  await page.close();
}

// Without the stream of events, the page asks instead.
page = await open(1280, 900, "light");
await page.setRequestInterception(true);
page.on("request", (request) => (request.url().endsWith("/events") ? request.abort() : request.continue()));
await set(page, "prompt", "a man");
await page.click("#generate");
await done(page);
assert.match(await status(page), /^Done/);
const expected = problems.filter((text) => !text.includes("ERR_FAILED"));
await browser.close();
await end();
assert.deepEqual([...requested], [...requested].filter((host) => host.startsWith("127.0.0.1")), "the page asks others");
assert.deepEqual(expected, []);
console.log("page: all as expected");
process.exit(0);
