/** `npm run bench`: prints the table of figures, writes rows with `--json FILE`, exits 1 when a bar is missed. */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { openRuntime } from "../../provider/src/runtime/open.ts";
import type { UnitId } from "../../provider/src/runtime/runtime.ts";
import { createProject } from "../support/project.ts";
import { benchIntention } from "./intention.ts";
import { benchMemory } from "./memory.ts";
import { type Row, table } from "./row.ts";
import { benchUp } from "./up.ts";

const { values } = parseArgs({
  options: {
    json: { type: "string" },
    rounds: { type: "string", default: "5" },
    flips: { type: "string", default: "100" },
  },
});
const progress = (line: string): void => console.error(line);
const rows: Row[] = [];

{
  progress("memory and intentions: bringing the federation up");
  await using project = await createProject({
    runtime: "local",
    program: new URL("../../examples/two-datacenters", import.meta.url).pathname,
    log: progress,
  });
  const runtime = await openRuntime("local");
  const web: UnitId = { mesh: project.mesh, datacenter: "dc2", role: "service", name: "web" };
  try {
    await project.up();
    rows.push(...(await benchMemory(project.mesh, runtime)));
    for (const [name, writeIn] of [
      ["intention written in dc1, source in dc2", "dc1"],
      ["intention written in dc2, source in dc2", "dc2"],
    ] as const) {
      progress(name);
      rows.push(
        ...(await benchIntention(
          runtime,
          project.mesh,
          { name, writeIn, source: web, port: 8181, destination: "socat" },
          Number(values.flips),
        )),
      );
    }
  } finally {
    await project.destroy();
  }
}
rows.push(...(await benchUp(Number(values.rounds), progress)));

console.log(table(rows));
if (values.json)
  await writeFile(
    values.json,
    `${JSON.stringify(
      rows.map(({ name, value, unit, bar, ok }) => ({ name, value, unit, bar, ok })),
      undefined,
      2,
    )}\n`,
  );
process.exitCode = rows.every((one) => one.ok) ? 0 : 1;
