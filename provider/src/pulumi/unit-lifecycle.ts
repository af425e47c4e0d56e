/** What is common to nouns that are units: finding them, looking at them, removing them, and failing half-way. */
import { isDeepStrictEqual } from "node:util";
import type { OwnerSpec } from "@isthmus/sdk/spec";
import { isMeshError } from "../model/errors.ts";
import type { Runtime, UnitId, UnitState } from "../runtime/runtime.ts";
import { type HandlerContext, PartialFailure, type Props } from "./context.ts";
import { until } from "./waiting.ts";

/** Runtimes in which a unit can be: the one it was made in, if that is known. */
async function* candidates(state: Props, context: HandlerContext): AsyncGenerator<Runtime> {
  const kind = state["runtime"];
  if (kind === "docker" || kind === "local") yield await context.openRuntime(kind);
  else yield* context.findRuntimes();
}

/** The unit as it is and where; undefined when it is nowhere. */
export async function inspectUnit(
  unit: UnitId,
  state: Props,
  context: HandlerContext,
): Promise<{ readonly runtime: Runtime; readonly state: UnitState } | undefined> {
  for await (const runtime of candidates(state, context)) {
    const found = await runtime.inspect(unit);
    if (found) return { runtime, state: found };
  }
  return undefined;
}

/** True when every one of these processes runs. */
export function allRunning(unit: UnitState, processes: readonly string[]): boolean {
  return processes.every((name) => unit.processes.some((one) => one.name === name && one.running));
}

/** Removes the unit if it is ours. Absence, and a unit that is somebody else's by now, is success. */
export async function removeUnit(unit: UnitId, owner: OwnerSpec, state: Props, context: HandlerContext): Promise<void> {
  await until(`removal of ${unit.role} "${unit.name}"`, context, async () => {
    const found = await inspectUnit(unit, state, context);
    if (found && isDeepStrictEqual({ ...found.state.owner }, { ...owner })) await found.runtime.remove(unit);
    return true;
  });
}

/**
 * Does the work of a creation. If it fails after something may have been made, the resource is recorded, so that it is
 * not lost and the next update heals it.
 */
export async function recorded(
  id: string,
  inputs: Props,
  make: () => Promise<Props>,
): Promise<{ readonly id: string; readonly outs: Props }> {
  try {
    return { id, outs: await make() };
  } catch (error) {
    if (isMeshError(error) && error.code === "already_exists") throw error;
    throw new PartialFailure(id, { ...inputs, running: false }, error);
  }
}
