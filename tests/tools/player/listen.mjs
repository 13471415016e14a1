// Listens to a recording on the player page, as a person with a browser does: shows a token, plays,
// seeks, goes on; then what an error looks like. One JSON document on standard output.
//
//   node listen.mjs --page URL --token-file FILE --out FILE.png [--dark FILE.png] [--refused FILE.png]
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const BROWSER = [
  "--headless", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--force-color-profile=srgb", "--font-render-hinting=none",
];
const PATIENCE_MS = 60_000;

const text = { type: "string" };
const { values: told } = parseArgs({
  options: { page: text, "token-file": text, out: text, dark: text, refused: text },
});
const token = readFileSync(told["token-file"], "utf8").trim();

// What a browser of a person reports of itself; faults are what a page may not have.
async function visit(browser, scheme, work) {
  const context = await browser.newContext({
    colorScheme: scheme, viewport: { width: 760, height: 640 }, deviceScaleFactor: 2,
    locale: "en-GB", timezoneId: "UTC",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const seen = { faults: [], requests: [] };
  page.on("pageerror", (error) => seen.faults.push(String(error)));
  page.on("console", (line) => line.type() === "error" && seen.faults.push(line.text()));
  page.on("response", (response) => {
    const request = response.request();
    seen.requests.push({ method: request.method(), url: request.url(), status: response.status(),
      range: request.headers().range ?? null });
  });
  await page.goto(told.page);
  await work(page, seen);
  seen.address = page.url();
  seen.cookies = await page.evaluate("document.cookie");
  await context.close();
  return seen;
}

async function show(page, shown) {
  await page.getByLabel("Access token").fill(shown);
  await page.keyboard.press("Enter");
}

const time = (page) => page.evaluate("document.getElementById('media').currentTime");
const passes = (page, seconds) =>
  page.waitForFunction((s) => document.getElementById("media").currentTime > s, seconds);

async function listens(page, seen) {
  await show(page, token);
  await page.getByRole("button", { name: "Play", exact: true }).click();
  await passes(page, 0.5);
  seen.kind = await page.evaluate("document.getElementById('media').tagName");
  seen.duration = await page.evaluate("document.getElementById('media').duration");
  // Far ahead, where nothing has been fetched yet, by the keyboard: a range is asked for.
  const before = seen.requests.length;
  const slider = page.getByRole("slider", { name: "Position" });
  await slider.evaluate((it, to) => {
    it.value = to;
    it.dispatchEvent(new Event("input", { bubbles: true }));
    it.dispatchEvent(new Event("change", { bubbles: true }));
  }, seen.duration * 0.9);
  await passes(page, seen.duration * 0.9 + 0.5);
  seen.soughtTo = await time(page);
  seen.afterSeek = seen.requests.slice(before);
  await page.getByRole("button", { name: "Back 10 seconds" }).click();
  await page.waitForFunction((s) => document.getElementById("media").currentTime < s, seen.soughtTo);
  await page.locator("h1").click();
  await page.keyboard.press("Space");
  await page.waitForFunction("document.getElementById('media').paused");
  await page.keyboard.press("Home");
  await page.waitForFunction("document.getElementById('media').currentTime < 0.1");
  await page.keyboard.press("k");
  await passes(page, 0.3);
  seen.playing = await page.evaluate("!document.getElementById('media').paused");
  await slider.evaluate((it, to) => {
    it.value = to;
    it.dispatchEvent(new Event("change", { bubbles: true }));
  }, seen.duration * 0.4);
  await passes(page, seen.duration * 0.4);
}

// The storage refuses for a while: the page tries, tells the service, gives up, and goes on when a
// person asks it to.
async function recovers(page, seen) {
  await page.route("**/playback*", (route) => route.abort());
  await show(page, token);
  await page.getByRole("alert").waitFor({ state: "visible" });
  seen.alert = await page.getByRole("alert").innerText();
  await page.unroute("**/playback*");
  await page.getByRole("button", { name: "Play", exact: true }).click();
  await passes(page, 0.3);
  seen.hidden = await page.getByRole("alert").isHidden();
}

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: BROWSER });
try {
  const light = await visit(browser, "light", async (page, seen) => {
    await listens(page, seen);
    await page.locator("h1").click();
    await page.screenshot({ path: told.out });
  });
  const dark = await visit(browser, "dark", async (page, seen) => {
    await show(page, token);
    await page.getByRole("button", { name: "Play", exact: true }).click();
    await passes(page, 0.3);
    seen.background = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    if (told.dark) await page.screenshot({ path: told.dark });
  });
  const refused = await visit(browser, "light", async (page, seen) => {
    await show(page, `${token}x`);
    seen.alert = await page.getByRole("alert").innerText();
    seen.focused = await page.evaluate("document.activeElement.id");
    if (told.refused) await page.screenshot({ path: told.refused });
  });
  const failed = await visit(browser, "light", recovers);
  console.log(JSON.stringify({ light, dark, refused, failed }));
} finally {
  await browser.close();
}
