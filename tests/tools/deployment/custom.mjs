// custom.mjs FILE: checks the custom resources of a manifest (many documents, YAML) against the
// schemas of those who define them. Exit code 1 when one is wrong, 3 when one is of no known kind.
import { readFileSync } from "node:fs";
import * as yaml from "js-yaml";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import { TriggerAuthentication } from "@kubernetes-models/keda/keda.sh/v1alpha1/TriggerAuthentication";
import { PodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";

const kinds = { ScaledObject, TriggerAuthentication, PodMonitor };
let code = 0;
for (const found of yaml.loadAll(readFileSync(process.argv[2], "utf8"))) {
  if (!found || !/\.(sh|com)\//.test(found.apiVersion)) continue;
  const name = `${found.kind} ${found.metadata?.name}`;
  const Kind = kinds[found.kind];
  if (!Kind) {
    console.log(`${name}: no schema for it here`);
    code ||= 3;
    continue;
  }
  try {
    new Kind(found).validate();
    console.log(`${name}: fine`);
  } catch (error) {
    console.log(`${name}: ${error.message}`);
    code = 1;
  }
}
process.exit(code);
