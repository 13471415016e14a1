// A heat map of a histogram's buckets on Grafana's plot. Grafana's own heat map panel is part of its
// application and not of its libraries; axes, formats and colours here are the libraries'.
import { DataFrame, getValueFormat, formattedValueToString, dateTime } from "@grafana/data";
import { AxisPlacement, ScaleDirection, ScaleOrientation } from "@grafana/schema";
import { UPlotChart, UPlotConfigBuilder } from "@grafana/ui";
import type uPlot from "uplot";
import { useMemo } from "react";
import type { Drawing } from "./values";
import type { Span } from "./prometheus";

/** Between two neighbouring bounds: how many observations, at each time. */
interface Row {
  /** Upper bound as Prometheus names it, seconds. */
  bound: number;
  counts: (number | null)[];
}

/** Prometheus' buckets count everything below their bound; each row wants its own part only. */
export function rows(data: DataFrame[]): Row[] {
  const sorted = data
    .map((frame) => {
      const field = frame.fields[1];
      return { bound: Number(field.labels?.le?.replace("+Inf", "Infinity")), values: field.values };
    })
    .sort((one, other) => one.bound - other.bound);
  return sorted.map(({ bound, values }, index) => {
    const below = index > 0 ? sorted[index - 1].values : undefined;
    const counts = values.map((value: number | null, at: number) =>
      value === null ? null : Math.max(0, value - (below?.[at] ?? 0)),
    );
    return { bound, counts };
  });
}

/** Rows that ever counted something, with one empty row around them. */
function busy(all: Row[]): Row[] {
  const used = all.map((row) => row.counts.some((count) => (count ?? 0) > 1e-9));
  const first = Math.max(used.indexOf(true) - 1, 0);
  return all.slice(first, Math.max(used.lastIndexOf(true) + 2, first + 1));
}

function shade(share: number, exponent: number): string {
  const strength = Math.pow(share, exponent);
  // From the panel's background over Grafana's dark blue to its lightest.
  const from = [24, 38, 66];
  const over = [50, 116, 217];
  const to = [192, 216, 255];
  const [low, high, part] =
    strength < 0.5 ? [from, over, strength * 2] : [over, to, strength * 2 - 1];
  const mixed = low.map((value, index) => Math.round(value + (high[index] - value) * part));
  return `rgb(${mixed.join(",")})`;
}

function paint(shown: Row[], times: number[], exponent: number) {
  const most = Math.max(1e-9, ...shown.flatMap((row) => row.counts.map((count) => count ?? 0)));
  return (plot: uPlot) => {
    const { ctx } = plot;
    const step = times.length > 1 ? times[1] - times[0] : 1000;
    ctx.save();
    ctx.beginPath();
    ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    ctx.clip();
    shown.forEach((row, index) => {
      const top = plot.valToPos(index + 1, "y", true);
      const bottom = plot.valToPos(index, "y", true);
      row.counts.forEach((count, at) => {
        if (!count || count < 1e-9) return;
        const left = plot.valToPos(times[at] - step, "x", true);
        const right = plot.valToPos(times[at], "x", true);
        ctx.fillStyle = shade(count / most, exponent);
        // Narrow columns touch: a gap in each would be half of the picture.
        const gap = right - left > 6 ? 1 : 0;
        ctx.fillRect(left, top + 1, Math.max(right - left - gap, 1), bottom - top - 1);
      });
    });
    ctx.restore();
  };
}

/** The plot with a row for each bucket. */
export function HeatMap({ panel, data, theme, width, height, span }: Drawing & { span: Span }) {
  const prepared = useMemo(() => {
    const shown = busy(rows(data));
    const times: number[] = data[0]?.fields[0].values ?? [];
    const format = getValueFormat(panel.options.yAxis.unit);
    const builder = new UPlotConfigBuilder("utc");
    builder.addScale({
      scaleKey: "x",
      isTime: true,
      orientation: ScaleOrientation.Horizontal,
      direction: ScaleDirection.Right,
      range: () => [span.from * 1000, span.to * 1000],
    });
    builder.addScale({
      scaleKey: "y",
      orientation: ScaleOrientation.Vertical,
      direction: ScaleDirection.Up,
      range: () => [0, Math.max(shown.length, 1)],
    });
    builder.addAxis({
      scaleKey: "x",
      isTime: true,
      placement: AxisPlacement.Bottom,
      timeZone: "utc",
      theme,
    });
    const every = Math.max(1, Math.ceil((shown.length * 22) / Math.max(height, 1)));
    const splits = shown.map((_, index) => index + 1).filter((index) => index % every === 0);
    builder.addAxis({
      scaleKey: "y",
      placement: AxisPlacement.Left,
      theme,
      splits: () => splits,
      grid: { show: false },
      formatValue: (index: number) => {
        const bound = shown[index - 1]?.bound;
        if (bound === undefined) return "";
        return Number.isFinite(bound) ? formattedValueToString(format(bound)) : "∞";
      },
    });
    builder.addSeries({ scaleKey: "y", theme, pathBuilder: () => null, lineWidth: 0 } as any);
    builder.addHook("draw", paint(shown, times, panel.options.color.exponent));
    const facets = [times, times.map(() => null)] as any;
    return { builder, facets };
  }, [data, width, height]);
  return (
    <UPlotChart data={prepared.facets} config={prepared.builder} width={width} height={height} />
  );
}

/** For messages: when the picture was taken. */
export function at(seconds: number): string {
  return dateTime(seconds * 1000).utc().format("YYYY-MM-DD HH:mm");
}
