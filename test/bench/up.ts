/** How long `up` takes beyond what Pulumi itself needs: the example against as many resources whose handlers do nothing. */
import { join } from "node:path";
import { openRuntime } from "../../provider/src/runtime/open.ts";
import type { UnitId } from "../../provider/src/runtime/runtime.ts";
import { createProject } from "../support/project.ts";
import { say } from "../support/traffic.ts";
import { type Row, row } from "./row.ts";
import { median } from "./statistics.ts";

const example = join(import.meta.dirname, "../../examples/two-datacenters");
const empty = join(import.meta.dirname, "empty-program");

export async function benchUp(rounds: number, progress: (line: string) => void): Promise<Row[]> {
  const raw = {
    example: [] as number[],
    empty: [] as number[],
    exampleNoOp: [] as number[],
    emptyNoOp: [] as number[],
  };
  const runtime = await openRuntime("local");
  for (let round = 0; round < rounds; round += 1) {
    progress(`up: round ${round + 1} of ${rounds}`);
    await using ours = await createProject({ runtime: "local", program: example });
    await using floor = await createProject({ runtime: "local", program: empty });
    raw.empty.push((await floor.up()).durationMs / 1000);
    const start = performance.now();
    await ours.up();
    const web: UnitId = { mesh: ours.mesh, datacenter: "dc2", role: "service", name: "web" };
    const reply = await say(runtime, web, 8181, "first");
    if (reply.text !== "first\n") throw new Error(`the first line did not come back: ${JSON.stringify(reply)}`);
    raw.example.push((performance.now() - start) / 1000);
    raw.emptyNoOp.push((await floor.up()).durationMs / 1000);
    raw.exampleNoOp.push((await ours.up()).durationMs / 1000);
    await ours.destroy();
    await floor.destroy();
  }
  const noOp = median(raw.exampleNoOp.map((value, index) => value / raw.emptyNoOp[index]!));
  const beyond = median(raw.example.map((value, index) => value - raw.empty[index]!));
  return [
    row("up of the example to the first echo, minus up of as many empty handlers", beyond, "s", 3, {
      "example, s": raw.example,
      "empty handlers, s": raw.empty,
    }),
    row("no-op up / no-op up of as many empty handlers", noOp, "ratio", 1.2, {
      "example, s": raw.exampleNoOp,
      "empty handlers, s": raw.emptyNoOp,
    }),
  ];
}
