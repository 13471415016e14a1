// Asks Prometheus what a panel's targets ask, as Grafana's data source does, and turns the answers
// into Grafana's data frames.
import { DataFrame, FieldType, toDataFrame } from "@grafana/data";

/** What the picture shows. Times in unix seconds. */
export interface Span {
  from: number;
  to: number;
  /** Seconds between two scrapes: no rate is taken over less than four of them. */
  scrape: number;
  /** What stands for the variable `job`. */
  job: string;
}

/** A panel's query. */
export interface Target {
  refId: string;
  expr: string;
  legendFormat?: string;
  format?: string;
  instant?: boolean;
}

type Labels = Record<string, string>;
type Sample = [number, string];

/** Seconds between two points of a graph that is `points` wide. */
export function stepOf(span: Span, points: number): number {
  const whole = Math.ceil((span.to - span.from) / Math.max(points, 50));
  return Math.max(whole, span.scrape, 1);
}

function substituted(expr: string, span: Span, step: number): string {
  const rate = Math.max(step + span.scrape, 4 * span.scrape);
  return expr
    .replaceAll("$__rate_interval", `${rate}s`)
    .replaceAll("$__interval", `${step}s`)
    .replaceAll("$__range", `${span.to - span.from}s`)
    .replaceAll("$job", span.job);
}

async function ask(path: string, parameters: Record<string, string>): Promise<any[]> {
  const response = await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const answer = await response.json();
  if (answer.status !== "success") throw new Error(`${parameters.query}: ${answer.error}`);
  return answer.data.result;
}

function legend(format: string | undefined, labels: Labels): string {
  if (!format) return labels.__name__ ?? JSON.stringify(labels);
  return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? "");
}

async function range(target: Target, span: Span, points: number): Promise<DataFrame[]> {
  const step = stepOf(span, points);
  const start = Math.ceil(span.from / step) * step;
  const times: number[] = [];
  for (let time = start; time <= span.to; time += step) times.push(time);
  const query = substituted(target.expr, span, step);
  const asked = { query, start: `${start}`, end: `${span.to}`, step: `${step}` };
  const found = await ask("query_range", asked);
  return found.map((series: { metric: Labels; values: Sample[] }) => {
    const values = new Map(series.values.map(([time, value]) => [time, Number(value)]));
    const name = legend(target.legendFormat, series.metric);
    // A moment without a sample is a gap, not a line across it.
    const points = times.map((time) => {
      const value = values.get(time);
      return value === undefined || !Number.isFinite(value) ? null : value;
    });
    return toDataFrame({
      refId: target.refId,
      name,
      fields: [
        { name: "Time", type: FieldType.time, values: times.map((time) => time * 1000) },
        {
          name: "Value",
          type: FieldType.number,
          values: points,
          labels: series.metric,
          config: { displayName: name, displayNameFromDS: name },
        },
      ],
    });
  });
}

async function table(target: Target, span: Span, several: boolean): Promise<DataFrame[]> {
  const asked = { query: substituted(target.expr, span, span.scrape), time: `${span.to}` };
  const found = await ask("query", asked);
  if (found.length === 0) return [];
  const names = new Set<string>(found.flatMap((one: { metric: Labels }) => Object.keys(one.metric)));
  const labels = [...names].sort().map((name) => ({
    name,
    type: FieldType.string,
    values: found.map((one: { metric: Labels }) => one.metric[name] ?? ""),
  }));
  const times = found.map((one: { value: Sample }) => one.value[0] * 1000);
  const values = found.map((one: { value: Sample }) => Number(one.value[1]));
  const value = several ? `Value #${target.refId}` : "Value";
  return [
    toDataFrame({
      refId: target.refId,
      fields: [
        { name: "Time", type: FieldType.time, values: times },
        ...labels,
        { name: value, type: FieldType.number, values },
      ],
    }),
  ];
}

async function instant(target: Target, span: Span): Promise<DataFrame[]> {
  const asked = { query: substituted(target.expr, span, span.scrape), time: `${span.to}` };
  const found = await ask("query", asked);
  return found.map((one: { metric: Labels; value: Sample }) => {
    const name = legend(target.legendFormat, one.metric);
    const config = { displayName: name, displayNameFromDS: name };
    const values = [Number(one.value[1])];
    return toDataFrame({
      refId: target.refId,
      name,
      fields: [
        { name: "Time", type: FieldType.time, values: [one.value[0] * 1000] },
        { name: "Value", type: FieldType.number, values, labels: one.metric, config },
      ],
    });
  });
}

/** The frames of all targets of a panel that is `points` wide. */
export async function frames(
  targets: Target[],
  span: Span,
  points: number,
): Promise<DataFrame[]> {
  const several = targets.length > 1;
  const asked = targets.map((target) => {
    if (target.format === "table") return table(target, span, several);
    return target.instant ? instant(target, span) : range(target, span, points);
  });
  return (await Promise.all(asked)).flat();
}
