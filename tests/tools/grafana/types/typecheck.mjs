// Does a dashboard fit the types of Grafana's own schema?
//
//   node typecheck.mjs DASHBOARD.json…
//
// The JSON becomes a TypeScript program that says so; the compiler judges it. Grafana's type of a
// panel leaves its options open, so each is held against the type of its own kind as well.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = path.dirname(fileURLToPath(import.meta.url));
const KINDS = {
  stat: "StatPanelCfg",
  table: "TablePanelCfg",
  timeseries: "TimeSeriesPanelCfg",
  bargauge: "BarGaugePanelCfg",
  heatmap: "HeatmapPanelCfg",
};

/** The program that compiles only if `dashboard` is one. */
function program(dashboard) {
  const text = [
    'import type { Dashboard } from "@grafana/schema";',
    // Enumerations of the schema are words in JSON: any of the words will do.
    "type Wide<T> = unknown extends T ? T",
    "  : T extends string ? `${T}` : T extends number | boolean | null | undefined ? T",
    "  : T extends (infer U)[] ? Wide<U>[] : { [K in keyof T]: Wide<T[K]> };",
  ];
  const kinds = new Set(dashboard.panels.map((panel) => panel.type));
  for (const kind of kinds) {
    if (kind === "row") continue;
    if (!KINDS[kind]) throw new Error(`no types for panels of kind ${kind}`);
    const module = `@grafana/schema/dist/esm/raw/composable/${kind}/panelcfg/x/${KINDS[kind]}_types.gen`;
    text.push(`import type * as ${kind} from "${module}";`);
  }
  // An annotation's query and its texts are its data source's own affair: the schema knows only
  // what all of them share.
  const list = dashboard.annotations.list.map(
    ({ target, titleFormat, textFormat, step, ...rest }) =>
      target ? { ...rest, target: { refId: target.refId, datasource: target.datasource } } : rest,
  );
  const whole = JSON.stringify({ ...dashboard, annotations: { list } }, null, 2);
  text.push(`export const whole = ${whole} satisfies Partial<Wide<Dashboard>>;`);
  for (const panel of dashboard.panels) {
    if (panel.type === "row") continue;
    const options = JSON.stringify(panel.options, null, 2);
    text.push(`export const options${panel.id} = ${options} satisfies Partial<Wide<${panel.type}.Options>>;`);
  }
  return text.join("\n");
}

function check(file) {
  const folder = mkdtempSync(path.join(here, ".check-"));
  try {
    const source = path.join(folder, "dashboard.ts");
    writeFileSync(source, program(JSON.parse(readFileSync(file, "utf8"))));
    const compiled = ts.createProgram([source], {
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      types: [],
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
    });
    return ts.getPreEmitDiagnostics(compiled).map((found) => {
      const text = ts.flattenDiagnosticMessageText(found.messageText, "\n");
      const at = found.file?.getLineAndCharacterOfPosition(found.start ?? 0).line ?? 0;
      return `${file}: ${found.file?.text.split("\n")[at]?.trim()}\n  ${text}`;
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const files = process.argv.slice(2);
if (files.length === 0) throw new Error("which dashboard?");
const faults = files.flatMap(check);
for (const fault of faults) console.error(fault);
console.log(`${files.length} dashboards, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
