/** `isthmus down`: `pulumi destroy`, then a look of our own that no unit is left. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { removeRuntimeImages } from "../runtime/open.ts";
import { cacheDirectory } from "../toolchain/cache.ts";
import { type Command, DEFAULT_STACK, type Terminal } from "./command-line.ts";
import { findUnits, type PlacedUnit } from "./mesh-view.ts";
import { findProject, type Project, readMeshId } from "./project.ts";
import { ownBackend, usesOwnBackend } from "./pulumi-environment.ts";
import { openStack } from "./stack.ts";

/** Exit code 1 when a unit is left. `--purge` removes that too, and the images, the tool cache and `.isthmus`. */
export const down: Command = async (args, terminal) => {
  const { values } = parseArgs({
    args: [...args],
    options: { stack: { type: "string", default: DEFAULT_STACK }, purge: { type: "boolean", default: false } },
  });
  const project = await findProject(terminal.cwd);
  const mesh = await readMeshId(project);
  await destroy(project, values.stack, terminal);
  let left = mesh === undefined ? [] : await unitsOfStack(mesh, project, values.stack);
  if (values.purge) {
    for (const { runtime, state } of left) {
      terminal.say(`removing what the stack did not know: ${describeUnit({ runtime, state })}`);
      await runtime.remove(state.id);
    }
    left = mesh === undefined ? [] : await unitsOfStack(mesh, project, values.stack);
  }
  if (left.length > 0) {
    for (const unit of left) terminal.say(`left behind: ${describeUnit(unit)}`);
    terminal.say("`isthmus down --purge` removes it");
    return 1;
  }
  if (values.purge) await purge(project, terminal);
  terminal.say("nothing is left running");
  return 0;
};

/** Destroys and removes the stack. A project that was never up has none. */
async function destroy(project: Project, name: string, terminal: Terminal): Promise<void> {
  const own = ownBackend(project.directory);
  if (usesOwnBackend(process.env) && !existsSync(own.backend)) return;
  const stack = await openStack(project, name, terminal.say);
  await stack.ensure();
  await stack.run(["destroy", "--yes", "--skip-preview"]);
  await stack.run(["stack", "rm", "--yes"]);
  if (usesOwnBackend(process.env)) await rm(own.home, { recursive: true, force: true });
}

async function unitsOfStack(mesh: string, project: Project, stack: string): Promise<readonly PlacedUnit[]> {
  const units = await findUnits(mesh);
  return units.filter(({ state: { owner } }) => owner.project === project.name && owner.stack === stack);
}

async function purge(project: Project, terminal: Terminal): Promise<void> {
  await removeRuntimeImages();
  const cache = cacheDirectory();
  for (const folder of [cache, project.directory]) {
    await rm(folder, { recursive: true, force: true });
    terminal.say(`removed ${folder}`);
  }
}

function describeUnit({ runtime, state: { id, placement } }: PlacedUnit): string {
  return `${id.role} ${id.name} in ${id.datacenter}, ${runtime.kind} runtime, ${placement.lan}`;
}
