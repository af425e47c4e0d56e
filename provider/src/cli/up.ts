/** `isthmus up`: tools, stack, `pulumi up`, an echo through the mesh, and what ran where and for how long. */
import { parseArgs } from "node:util";
import { isMeshError } from "../model/errors.ts";
import { envoyBinary } from "../toolchain/envoy.ts";
import { type Command, DEFAULT_STACK, type Terminal } from "./command-line.ts";
import { findUnits, type PlacedUnit } from "./mesh-view.ts";
import { describeEcho, type EchoResult, echo } from "./probe.ts";
import { ensureMeshId, findProject } from "./project.ts";
import { describeChanges } from "./resource-changes.ts";
import { openStack } from "./stack.ts";
import { formatSeconds, formatTable } from "./table.ts";

/** How long the first echo may fail while the last change reaches every proxy. */
const ECHO_WITHIN_MS = 15_000;
const ECHO_RETRY_MS = 100;

export const up: Command = async (args, terminal) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      stack: { type: "string", default: DEFAULT_STACK },
      from: { type: "string", default: "web" },
      to: { type: "string" },
    },
  });
  const steps: [string, number][] = [];
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    steps.push([name, performance.now() - start]);
    return result;
  };
  const start = performance.now();

  const project = await findProject(terminal.cwd);
  const mesh = await ensureMeshId(project);
  const stack = await timed("tools", async () => {
    await envoyBinary(terminal.say);
    return openStack(project, values.stack, terminal.say);
  });
  await timed("stack", () => stack.ensure());
  const changes = await timed("pulumi up", () => stack.up());
  terminal.say(describeChanges(changes));

  const units = await findUnits(mesh);
  const result = await timed("echo", () =>
    firstEcho({ from: values.from, ...(values.to === undefined ? {} : { to: values.to }) }, units, terminal),
  );
  terminal.say(`\n${formatTable(["datacenter", "unit", "runtime", "address"], units.map(unitRow))}`);
  const rows = [...steps, ["total", performance.now() - start] as const].map(([name, ms]) => [name, formatSeconds(ms)]);
  terminal.say(`\n${formatTable(["step", "took"], rows)}`);
  return result === "failed" ? 1 : 0;
};

/** Echoes until it works; a program without such a service and upstream is fine and needs no echo. */
async function firstEcho(
  request: { readonly from: string; readonly to?: string },
  units: readonly PlacedUnit[],
  terminal: Terminal,
): Promise<EchoResult | "none" | "failed"> {
  const text = `hello from ${request.from}`;
  const deadline = performance.now() + ECHO_WITHIN_MS;
  for (;;) {
    try {
      const result = await echo(request, text, units);
      terminal.say(`\n${describeEcho(result)}`);
      if (result.answer === text) return result;
      terminal.say(`the answer differs from what was sent: ${text}`);
      return "failed";
    } catch (error) {
      if (!isMeshError(error)) throw error;
      if (error.code === "not_found") {
        terminal.say(`\nno echo: ${error.message}`);
        return "none";
      }
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, ECHO_RETRY_MS));
    }
  }
}

function unitRow({ runtime, state: { id, placement } }: PlacedUnit): readonly string[] {
  const address =
    placement.wan === undefined || placement.wan === placement.lan
      ? placement.lan
      : `${placement.lan}, wan ${placement.wan}`;
  return [id.datacenter, `${id.role} ${id.name}`, runtime.kind, address];
}
