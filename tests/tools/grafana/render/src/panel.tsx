// One panel in Grafana's frame, by its type.
import { DataFrame, dateTime, GrafanaTheme2, TimeRange } from "@grafana/data";
import { PanelChrome, TimeSeries } from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";
import { HeatMap } from "./heatmap";
import { Bars, Stat } from "./values";
import type { Span } from "./prometheus";

/** A panel and what it shows. */
export interface Shown {
  panel: any;
  data: DataFrame[];
  theme: GrafanaTheme2;
  span: Span;
  width: number;
  height: number;
}

function timeRange({ from, to }: Span): TimeRange {
  const [start, end] = [dateTime(from * 1000), dateTime(to * 1000)];
  return { from: start, to: end, raw: { from: start, to: end } };
}

function Empty({ panel, height }: { panel: any; height: number }) {
  return (
    <div className="empty" style={{ height }}>
      {panel.fieldConfig?.defaults?.noValue ?? "No data"}
    </div>
  );
}

function Body(shown: Shown) {
  const { panel, data, span, width, height } = shown;
  if (data.length === 0) return <Empty panel={panel} height={height} />;
  switch (panel.type) {
    case "stat":
      return <Stat {...shown} />;
    case "bargauge":
      return <Bars {...shown} />;
    case "heatmap":
      return <HeatMap {...shown} />;
    case "table":
      return (
        <TableNG
          data={data[0]}
          width={width}
          height={height}
          sortBy={panel.options.sortBy}
          columnMinWidth={panel.fieldConfig.defaults.custom.minWidth}
          cellHeight={panel.options.cellHeight}
        />
      );
    case "timeseries":
      return (
        <TimeSeries
          frames={data}
          width={width}
          height={height}
          timeRange={timeRange(span)}
          timeZone="utc"
          legend={panel.options.legend}
        />
      );
    default:
      throw new Error(`no drawing for panels of type ${panel.type}`);
  }
}

/** The panel with its frame and title. */
export function Panel(shown: Shown) {
  const { panel, width, height } = shown;
  return (
    <PanelChrome title={panel.title} width={width} height={height} padding={padding(panel.type)}>
      {(innerWidth: number, innerHeight: number) => (
        <Body {...shown} width={innerWidth} height={innerHeight} />
      )}
    </PanelChrome>
  );
}

function padding(type: string): "none" | "md" {
  return type === "table" ? "none" : "md";
}
