/** How long an intention takes from the accepted write to the sidecar that enforces it, seen by new connections. */

import { openApi } from "../../provider/src/pulumi/api-client.ts";
import type { Runtime, UnitId } from "../../provider/src/runtime/runtime.ts";
import { say } from "../support/traffic.ts";
import { type Row, row } from "./row.ts";
import { quantile } from "./statistics.ts";

/** As many identical verdicts in a row count as settled. */
const settledAfter = 5;

/** One connection that was tried: when it began, and whether the line came back. */
interface Verdict {
  readonly startedMs: number;
  readonly passed: boolean;
}

/**
 * Flips `source -> destination` by writing in one datacenter while a prober dials through the source's sidecar all the
 * time, one connection after the other. The time of a flip runs from sending the write to the start of the first of five
 * connections in a row that were judged by it: the write's own round trip is in it, and so is a connection's length.
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
  using api = openApi(runtime, mesh, arm.writeIn);
  const path = `/v1/connect/intentions/exact?source=${arm.source.name}&destination=${arm.destination}`;
  const times = { allow: [] as number[], deny: [] as number[] };
  let attempts = 0;
  const probe = async (): Promise<Verdict> => {
    const startedMs = performance.now();
    const text = `probe ${attempts++}`;
    const reply = await say(runtime, arm.source, arm.port, text, 2_000);
    return { startedMs, passed: reply.text === `${text}\n` };
  };
  const settled = async (allowed: boolean, deadlineMs: number): Promise<Verdict> => {
    for (let row: Verdict[] = []; performance.now() < deadlineMs; ) {
      const verdict = await probe();
      row = verdict.passed === allowed ? [...row, verdict] : [];
      if (row.length === settledAfter) return row[0]!;
    }
    throw new Error(`${arm.name}: ${allowed ? "allow" : "deny"} is not enforced within 10 s`);
  };
  const flip = async (action: "allow" | "deny"): Promise<number> => {
    const sentMs = performance.now();
    const [first] = await Promise.all([
      settled(action === "allow", sentMs + 10_000),
      api.put(path, { Action: action }),
    ]);
    return first.startedMs - sentMs;
  };
  await flip("allow");
  for (let round = 0; round < flips; round += 1) {
    times.deny.push(await flip("deny"));
    times.allow.push(await flip("allow"));
  }
  return (["deny", "allow"] as const).flatMap((action) => [
    row(`${arm.name}: ${action} enforced, p50`, quantile(times[action], 0.5), "ms", 50, { ms: times[action] }),
    row(`${arm.name}: ${action} enforced, p99`, quantile(times[action], 0.99), "ms", 200, { ms: times[action] }),
  ]);
}
