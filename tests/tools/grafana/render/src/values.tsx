// Panels of single values: stat and bar gauge, reduced by Grafana's own `getFieldDisplayValues`.
import {
  DataFrame, FieldDisplay, getDisplayValueAlignmentFactors, getFieldDisplayValues, GrafanaTheme2,
  VizOrientation,
} from "@grafana/data";
import { BarGauge, BigValue } from "@grafana/ui";

/** What is needed to draw one panel. */
export interface Drawing {
  panel: any;
  data: DataFrame[];
  theme: GrafanaTheme2;
  width: number;
  height: number;
}

function values({ panel, data, theme }: Drawing, sparkline: boolean): FieldDisplay[] {
  return getFieldDisplayValues({
    data,
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text: string) => text,
    theme,
    sparkline,
    timeZone: "utc",
  });
}

/** Values beside or above each other, with a sparkline where asked for. */
export function Stat(drawing: Drawing) {
  const { panel, theme, width, height } = drawing;
  const { graphMode, colorMode, justifyMode, textMode, orientation } = panel.options;
  const shown = values(drawing, graphMode !== "none");
  const across = orientation !== "horizontal" && shown.length > 1;
  const size = across
    ? { width: width / shown.length, height }
    : { width, height: height / Math.max(shown.length, 1) };
  const factors = getDisplayValueAlignmentFactors(shown);
  return (
    <div style={{ display: "flex", flexDirection: across ? "row" : "column" }}>
      {shown.map((one, index) => (
        <BigValue
          key={index}
          theme={theme}
          {...size}
          value={one.display}
          sparkline={one.sparkline}
          alignmentFactors={factors}
          count={shown.length}
          {...{ graphMode, colorMode, justifyMode, textMode }}
        />
      ))}
    </div>
  );
}

/** Horizontal bars, one a series, with its name to the left. */
export function Bars(drawing: Drawing) {
  const { panel, theme, width, height } = drawing;
  const { displayMode, showUnfilled, valueMode, namePlacement, maxVizHeight, text } = panel.options;
  const shown = values(drawing, false);
  const most = Math.max(1, ...shown.map((one) => one.display.numeric));
  const row = Math.min(height / Math.max(shown.length, 1), maxVizHeight);
  const factors = getDisplayValueAlignmentFactors(shown);
  return (
    <div style={{ display: "flex", flexDirection: "column", gap: 4 }}>
      {shown.map((one, index) => (
        <BarGauge
          key={index}
          theme={theme}
          width={width}
          height={row - 4}
          value={one.display}
          field={{ ...one.field, max: one.field.max ?? most }}
          display={one.view?.getFieldDisplayProcessor(one.colIndex ?? 0) ?? undefined}
          orientation={VizOrientation.Horizontal}
          alignmentFactors={factors}
          valueDisplayMode={valueMode}
          itemSpacing={4}
          {...{ displayMode, showUnfilled, namePlacement, text }}
        />
      ))}
    </div>
  );
}
