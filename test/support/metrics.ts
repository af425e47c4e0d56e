/** Gauges of a control plane. */
import type { ControlPlane } from "./control-planes.ts";

/** The value of a gauge; of the one with these labels where there are several. @throws when there is none */
export async function gauge(
  controlPlane: ControlPlane,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const { Gauges } = await controlPlane.operator.get<{
    readonly Gauges: readonly { Name: string; Value: number; Labels: Record<string, string> }[];
  }>("/v1/agent/metrics");
  const found = Gauges.find(
    (one) => one.Name === name && Object.entries(labels).every(([key, value]) => one.Labels[key] === value),
  );
  if (!found) throw new Error(`no gauge ${name} ${JSON.stringify(labels)}`);
  return found.Value;
}
