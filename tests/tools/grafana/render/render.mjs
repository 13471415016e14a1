// Draws a dashboard from a live Prometheus, with Grafana's own panels, into a picture.
//
//   node render.mjs --prometheus URL [--from T] [--to T] [--dashboard FILE] [--width PX] [--rows N]
//                   [--scrape SECONDS] --out FILE.png
//
// T is unix seconds or an ISO time; --to is now and --from an hour before it unless given. --rows
// stops after so many headed rows. The exit code is 0 only when every panel drawn has data.
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { bundle } from "./build.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const repository = path.resolve(here, "../../../..");
const READY_MS = 60_000;
const BROWSER = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--force-color-profile=srgb", "--font-render-hinting=none",
];
const PAGE =
  '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/main.css">' +
  '<body><div id="root"></div><div id="grafana-portal-container"></div>' +
  '<script type="module" src="/main.js"></script></body>';
const TYPES = { ".js": "text/javascript", ".css": "text/css", ".json": "application/json" };

function seconds(text, otherwise) {
  if (text === undefined) return otherwise;
  const parsed = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Date.parse(text) / 1000;
  if (!Number.isFinite(parsed)) throw new Error(`not a time: ${text}`);
  return Math.floor(parsed);
}

function options() {
  const text = { type: "string" };
  const { values } = parseArgs({
    options: {
      prometheus: text, from: text, to: text, out: text, dashboard: text, width: text,
      rows: text, scrape: text, job: text,
    },
  });
  if (!values.prometheus || !values.out) throw new Error("--prometheus and --out are needed");
  const to = seconds(values.to, Math.floor(Date.now() / 1000));
  return {
    prometheus: values.prometheus.replace(/\/$/, ""),
    out: values.out,
    dashboard:
      values.dashboard ?? path.join(repository, "deploy/grafana/dashboards/fleet-overview.json"),
    query: {
      from: seconds(values.from, to - 3600),
      to,
      width: Number(values.width ?? 1680),
      rows: Number(values.rows ?? 99),
      scrape: Number(values.scrape ?? 15),
      job: values.job ?? ".+",
    },
  };
}

/** Serves the page and passes its questions on to Prometheus; loopback only. */
function serve({ prometheus, dashboard }, built) {
  const server = http.createServer((request, response) => {
    const name = request.url.split("?")[0];
    if (name.startsWith("/api/")) {
      const passed = http.get(prometheus + request.url, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      passed.on("error", (error) => {
        response.writeHead(502);
        response.end(String(error));
      });
      return;
    }
    const files = {
      "/dashboard.json": dashboard,
      "/main.js": path.join(built, "main.js"),
      "/main.css": path.join(built, "main.css"),
    };
    if (name === "/") {
      response.writeHead(200, { "content-type": "text/html" });
      response.end(PAGE);
    } else if (files[name]) {
      response.writeHead(200, { "content-type": TYPES[path.extname(name)] });
      response.end(readFileSync(files[name]));
    } else {
      response.writeHead(404);
      response.end();
    }
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** Waits until everything is drawn, or until the page fails. */
async function finished(page, faults) {
  for (const until = Date.now() + READY_MS; Date.now() < until; ) {
    const drawn = await page.evaluate("window.drawn");
    if (drawn) return drawn;
    if (faults.length > 0) break;
    await page.waitForTimeout(100);
  }
  throw new Error(`the page was not drawn: ${faults.join("\n") || "no fault reported"}`);
}

async function draw(told, address) {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const browser = await chromium.launch({ executablePath, args: BROWSER });
  try {
    const viewport = { width: told.query.width, height: 1000 };
    const page = await browser.newPage({ viewport, deviceScaleFactor: 1 });
    const faults = [];
    page.on("pageerror", (error) => faults.push(String(error.stack ?? error).slice(0, 4000)));
    await page.goto(`${address}/?${new URLSearchParams(told.query)}`);
    const drawn = await finished(page, faults);
    await page.setViewportSize({ width: told.query.width, height: drawn.height });
    await page.waitForTimeout(500); // the panels animate in
    await page.screenshot({ path: told.out });
    return { ...drawn, faults };
  } finally {
    await browser.close();
  }
}

async function main() {
  const told = options();
  const built = mkdtempSync(path.join(os.tmpdir(), "callferry-render-"));
  let server;
  try {
    await bundle(built);
    server = await serve(told, built);
    const drawn = await draw(told, `http://127.0.0.1:${server.address().port}`);
    for (const fault of drawn.faults) console.error(`fault: ${fault}`);
    for (const title of drawn.empty) console.error(`no data: ${title}`);
    console.log(`${told.out}: ${drawn.panels} panels, ${drawn.empty.length} without data`);
    return drawn.empty.length + drawn.faults.length > 0 ? 1 : 0;
  } finally {
    server?.closeAllConnections();
    server?.close();
    rmSync(built, { recursive: true, force: true });
  }
}

main().then(
  (code) => (process.exitCode = code),
  (error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);
