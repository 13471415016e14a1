// Applies a panel's field configuration, as Grafana does before it draws: units, thresholds,
// colours, overrides by name, transformations.
import {
  applyFieldOverrides, DataFrame, FieldConfigOptionsRegistry, FieldConfigSource,
  getFieldDisplayName, GrafanaTheme2, standardEditorsRegistry, standardFieldConfigEditorRegistry,
  standardTransformers, standardTransformersRegistry, transformDataFrame,
} from "@grafana/data";
import { lastValueFrom } from "rxjs";

const PLAIN = [
  "unit", "min", "max", "decimals", "displayName", "noValue", "mappings", "thresholds", "color",
  "links",
];
const CUSTOM = [
  "drawStyle", "lineInterpolation", "lineWidth", "fillOpacity", "gradientMode", "showPoints",
  "pointSize", "spanNulls", "axisPlacement", "axisBorderShow", "axisGridShow", "axisLabel",
  "scaleDistribution", "stacking", "thresholdsStyle", "align", "cellOptions", "width", "minWidth", "inspect",
  "filterable", "hideFrom",
];

// Grafana's own list of these is not exported; a property without an entry would be dropped.
function entry(id: string, custom: boolean): any {
  return {
    id: custom ? `custom.${id}` : id,
    path: id,
    isCustom: custom,
    name: id,
    editor: () => null,
    override: () => null,
    process: (value: unknown) => value,
    settings: {},
    shouldApply: () => true,
  };
}

standardEditorsRegistry.setInit(() => []);
standardFieldConfigEditorRegistry.setInit(() => PLAIN.map((id) => entry(id, false)));
standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map(
    (transformation) => ({
      id: transformation.id,
      name: transformation.name,
      transformation: () => Promise.resolve(transformation),
    }) as any,
  ),
);
const registry = new FieldConfigOptionsRegistry(() => [
  ...PLAIN.map((id) => entry(id, false)),
  ...CUSTOM.map((id) => entry(id, true)),
]);

/** Frames that are ready to be drawn. */
export async function configured(
  panel: any,
  data: DataFrame[],
  theme: GrafanaTheme2,
): Promise<DataFrame[]> {
  const context = { interpolate: (text: string) => text };
  const transformations = panel.transformations ?? [];
  const transformed = transformations.length
    ? await lastValueFrom(transformDataFrame(transformations, data, context))
    : data;
  // Colours are dealt out over all series of a panel, not anew for each query.
  let series = 0;
  for (const frame of transformed) {
    for (const field of frame.fields) {
      const counts = field.type === "number";
      // Without the name that was worked out before the transformations.
      field.state = { seriesIndex: counts ? series++ : 0 };
    }
  }
  const ready = applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig as FieldConfigSource,
    fieldConfigRegistry: registry as any,
    replaceVariables: (text: string) => text,
    theme,
    timeZone: "utc",
  });
  // The table reads names only where this leaves them.
  for (const frame of ready) {
    for (const field of frame.fields) getFieldDisplayName(field, frame, ready);
  }
  return ready;
}
