/** Waiting for what a process of a unit is to achieve, and failing with its last lines when it ends instead. */
import { MeshError } from "../model/errors.ts";
import type { ProcessState, Runtime, UnitId } from "../runtime/runtime.ts";
import type { HandlerContext } from "./context.ts";
import { until } from "./waiting.ts";

/** How many of a process's last lines an error carries. */
const logLines = 15;

/**
 * Tries `attempt` until it has a result.
 * @throws {MeshError} `internal` with the last log lines as soon as the process has ended, or was started again;
 * `unavailable` at the deadline.
 */
export async function whileRunning<T>(
  what: string,
  process: { readonly runtime: Runtime; readonly unit: UnitId; readonly started: ProcessState },
  context: HandlerContext,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  const { runtime, unit, started } = process;
  return await until(what, context, async () => {
    let failure: unknown;
    try {
      const result = await attempt();
      if (result !== undefined) return result;
    } catch (error) {
      failure = error;
    }
    const state = (await runtime.inspect(unit))?.processes.find((one) => one.name === started.name);
    if (!state?.running || state.restarts > started.restarts) {
      const code = state?.exitCode === undefined ? "" : ` with code ${state.exitCode}`;
      const lines = await runtime.logs(unit, started.name, logLines).catch(() => "");
      throw new MeshError(
        "internal",
        `${what}: its process "${started.name}" ended${code}. Its last lines:\n${lines.trim() || "(none)"}`,
      );
    }
    if (failure !== undefined) throw failure;
    return undefined;
  });
}
