// The page that is photographed: a dashboard's panels on Grafana's grid, from a live Prometheus.
// When everything is drawn, `window.drawn` says how high it is and which panels had no data.
import { createTheme, DataFrame, ThemeContext } from "@grafana/data";
import { GlobalStyles } from "@grafana/ui";
import { createRoot } from "react-dom/client";
import { configured } from "./fields";
import { frames, Span } from "./prometheus";
import { at } from "./heatmap";
import { Panel } from "./panel";

const GAP = 8;
const UNIT = 30;
const EDGE = 16;
const HEAD = 52;
const theme = createTheme({ colors: { mode: "dark" } });

interface Placed {
  panel: any;
  data: DataFrame[];
}

function has(data: DataFrame[]): boolean {
  return data.some((frame) =>
    frame.fields.some((field) => field.type === "number" && field.values.some(Number.isFinite)),
  );
}

async function load(panel: any, span: Span, width: number): Promise<Placed> {
  if (panel.type === "row") return { panel, data: [] };
  const raw = await frames(panel.targets, span, Math.floor(width / 2));
  return { panel, data: await configured(panel, raw, theme) };
}

function Header({ title, span }: { title: string; span: Span }) {
  return (
    <div className="head">
      <span className="title">{title}</span>
      <span className="times">
        {at(span.from)} to {at(span.to)} UTC
      </span>
    </div>
  );
}

function Cell({ placed, span, column }: { placed: Placed; span: Span; column: number }) {
  const { panel, data } = placed;
  const { x, y, w, h } = panel.gridPos;
  const style = { left: EDGE + x * column, top: HEAD + y * (UNIT + GAP) };
  if (panel.type === "row") {
    return (
      <div className="heading" style={style}>
        {panel.title}
      </div>
    );
  }
  const size = { width: w * column - GAP, height: h * (UNIT + GAP) - GAP };
  return (
    <div className="cell" style={{ ...style, ...size }}>
      <Panel panel={panel} data={data} theme={theme} span={span} {...size} />
    </div>
  );
}

/** The panels up to and without the heading that follows the last row wanted. */
function wanted(panels: any[], rows: number): any[] {
  let seen = 0;
  const end = panels.findIndex((panel) => panel.type === "row" && ++seen > rows);
  return end < 0 ? panels : panels.slice(0, end);
}

async function main() {
  const told = new URLSearchParams(window.location.search);
  const number = (name: string) => Number(told.get(name));
  const span: Span = {
    from: number("from"),
    to: number("to"),
    scrape: number("scrape"),
    job: told.get("job") ?? ".+",
  };
  const column = (number("width") - 2 * EDGE + GAP) / 24;
  const dashboard = await (await fetch("/dashboard.json")).json();
  const panels = wanted(dashboard.panels, number("rows"));
  const placed = await Promise.all(
    panels.map((panel) => load(panel, span, panel.gridPos.w * column)),
  );
  createRoot(document.getElementById("root")!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <style>{STYLE}</style>
      <Header title={dashboard.title} span={span} />
      {placed.map((one) => (
        <Cell key={one.panel.id} placed={one} span={span} column={column} />
      ))}
    </ThemeContext.Provider>,
  );
  const bottom = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  const drawn = placed.filter(({ panel }) => panel.type !== "row");
  const empty = drawn.filter(({ data }) => !has(data)).map(({ panel }) => panel.title);
  const height = HEAD + bottom * (UNIT + GAP) + EDGE - GAP;
  setTimeout(() => {
    (window as any).drawn = { height, panels: drawn.length, empty };
  }, 1500);
}

const { colors, typography } = theme;
const STYLE = `
  html, body { background: ${colors.background.canvas}; margin: 0; overflow: hidden; }
  #root { position: relative; }
  .head { position: absolute; left: ${EDGE}px; right: ${EDGE}px; top: 0; height: ${HEAD}px;
    display: flex; align-items: center; gap: 16px; }
  .title { font-size: ${typography.h3.fontSize}; font-weight: 500; }
  .times { color: ${colors.text.secondary}; margin-left: auto; }
  .heading { position: absolute; height: ${UNIT}px; line-height: ${UNIT}px; font-weight: 500;
    font-size: ${typography.h5.fontSize}; padding-left: 4px; }
  .cell { position: absolute; }
  .empty { display: flex; align-items: center; justify-content: center;
    color: ${colors.text.secondary}; }
`;

main().catch((error) => {
  // Shown in the picture and thrown on: whoever renders must learn of it.
  document.body.textContent = String(error);
  throw error;
});
