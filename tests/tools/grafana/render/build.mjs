// Bundles src/ with Grafana's libraries into one script and one style sheet for the browser.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import path from "node:path";

const here = path.dirname(fileURLToPath(import.meta.url));

/** Writes main.js and main.css into `outdir`. */
export async function bundle(outdir) {
  const empty = path.join(here, "src/empty.ts");
  await build({
    entryPoints: [path.join(here, "src/main.tsx")],
    bundle: true,
    outdir,
    format: "esm",
    platform: "browser",
    jsx: "automatic",
    minify: true,
    logLevel: "error",
    mainFields: ["browser", "module", "main"],
    conditions: ["import", "module"],
    // Parts of Grafana's tree that only exist for node; nothing here calls them.
    alias: { stream: empty, tty: empty, util: empty },
    define: { "process.env.NODE_ENV": '"production"', global: "window" },
    loader: { ".svg": "dataurl", ".png": "dataurl", ".woff2": "dataurl", ".ttf": "dataurl" },
  });
}
