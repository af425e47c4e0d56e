/** How long an intention takes from the accepted write to the sidecar that enforces it, seen by new connections. */

import { openApi } from "../../provider/src/pulumi/api-client.ts";
import type { Runtime, UnitId } from "../../provider/src/runtime/runtime.ts";
import { say } from "../support/traffic.ts";
import { type Row, row } from "./row.ts";
import { quantile } from "./statistics.ts";

/** As many identical verdicts in a row count as settled. */
const settledAfter = 5;

/**
 * Flips `source -> destination` by writing in one datacenter and dials through the source's sidecar until the verdict has
 * changed for good; the time is that of the first connection of the run of identical verdicts, counted from the answer to the write.
 */
export async function benchIntention(
  runtime: Runtime,
  mesh: string,
  arm: {
    readonly name: string;
    readonly writeIn: string;
    readonly source: UnitId;
    readonly port: number;
    readonly destination: string;
  },
  flips: number,
): Promise<Row[]> {
  const api = await openApi(runtime, mesh, arm.writeIn);
  const path = `/v1/connect/intentions/exact?source=${arm.source.name}&destination=${arm.destination}`;
  const times = { allow: [] as number[], deny: [] as number[] };
  const passes = async (text: string) => (await say(runtime, arm.source, arm.port, text, 2_000)).text === `${text}\n`;
  const flip = async (action: "allow" | "deny", round: string): Promise<number> => {
    await api.put(path, { Action: action });
    const accepted = performance.now();
    let first = 0;
    for (let same = 0, attempt = 0; same < settledAfter; attempt += 1) {
      const start = performance.now();
      if ((await passes(`${round}-${attempt}`)) === (action === "allow")) {
        if (same === 0) first = start;
        same += 1;
      } else same = 0;
      if (start - accepted > 10_000) throw new Error(`${arm.name}: ${action} is not enforced within 10 s`);
    }
    return first - accepted;
  };
  await flip("allow", "warm");
  for (let round = 0; round < flips; round += 1) {
    times.deny.push(await flip("deny", `d${round}`));
    times.allow.push(await flip("allow", `a${round}`));
  }
  return (["deny", "allow"] as const).flatMap((action) => [
    row(`${arm.name}: ${action} enforced, p50`, quantile(times[action], 0.5), "ms", 50, { ms: times[action] }),
    row(`${arm.name}: ${action} enforced, p99`, quantile(times[action], 0.99), "ms", 200, { ms: times[action] }),
  ]);
}
