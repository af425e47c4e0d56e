/** Resident memory of the parts, read from /proc: what belongs to a unit is its processes, supervisors included. */
import { readdir, readFile } from "node:fs/promises";
import type { Runtime, UnitId } from "../../provider/src/runtime/runtime.ts";
import { type Row, row } from "./row.ts";

/** MB of every process of this mesh, by `<role>/<name>/<process>`; a process belongs where its ISTHMUS_UNIT says. */
async function residentByProcess(mesh: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    try {
      const environment = (await readFile(`/proc/${pid}/environ`, "latin1")).split("\0");
      const marker = environment.find((line) => line.startsWith(`ISTHMUS_UNIT=${mesh}/`));
      if (!marker) continue;
      const pages = Number((await readFile(`/proc/${pid}/statm`, "utf8")).split(" ")[1]);
      const key = marker.slice(`ISTHMUS_UNIT=${mesh}/`.length);
      found.set(key, (found.get(key) ?? 0) + (pages * 4096) / 1e6);
    } catch {
      // The process ended meanwhile.
    }
  }
  return found;
}

export async function benchMemory(mesh: string, runtime: Runtime): Promise<Row[]> {
  const units: readonly { readonly id: UnitId }[] = await runtime.list(mesh);
  const resident = await residentByProcess(mesh);
  const of = (pattern: RegExp) => [...resident].filter(([key]) => pattern.test(key)).map(([, megabytes]) => megabytes);
  const controlPlanes = of(/control-plane/);
  const proxies = of(/\/proxy$/);
  const apps = of(/\/app$/);
  if (units.length !== 6 || controlPlanes.length !== 2 || proxies.length !== 4 || apps.length !== 2) {
    throw new Error(`expected 2 control planes, 4 proxies and 2 apps, found ${[...resident.keys()].join(", ")}`);
  }
  const sum = [...controlPlanes, ...proxies].reduce((total, value) => total + value, 0);
  return [
    row("RSS of a control plane (the larger)", Math.max(...controlPlanes), "MB", 110, { "each, MB": controlPlanes }),
    row("RSS of a sidecar or gateway with all that belongs to it (the largest)", Math.max(...proxies), "MB", 80, {
      "each, MB": proxies,
    }),
    row("RSS of the whole example without the apps", sum, "MB", 540, { "sum, MB": [sum] }),
  ];
}
