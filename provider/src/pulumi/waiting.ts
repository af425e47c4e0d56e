/** Waiting with a deadline: for a condition, for something to answer, or no longer than a moment. */
import { setTimeout as sleep } from "node:timers/promises";
import { isMeshError, MeshError } from "../model/errors.ts";
import type { HandlerContext } from "./context.ts";

/** First and longest pause between two tries, in milliseconds. */
const pause = { first: 25, longest: 500 };

/**
 * Tries until there is a result. An `unavailable` failure is tried again, any other ends it.
 * @throws {MeshError} `unavailable` at the deadline: what was awaited and why it did not come.
 */
export async function until<T>(
  what: string,
  context: Pick<HandlerContext, "now" | "deadlineMs">,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  const end = context.now() + context.deadlineMs;
  let failure: unknown;
  for (let wait = pause.first; ; wait = Math.min(wait * 2, pause.longest)) {
    try {
      const result = await attempt();
      if (result !== undefined) return result;
      failure = undefined;
    } catch (error) {
      if (!isMeshError(error) || error.code !== "unavailable") throw error;
      failure = error;
    }
    if (context.now() + wait > end) {
      const why = failure instanceof Error ? `: ${failure.message}` : "";
      throw new MeshError("unavailable", `${what}: not within ${context.deadlineMs} ms${why}`, { cause: failure });
    }
    await sleep(wait);
  }
}

/** The result, or undefined when it fails or takes longer: no opinion. */
export async function within<T>(limitMs: number, attempt: () => Promise<T>): Promise<T | undefined> {
  const timeout = new AbortController();
  try {
    return await Promise.race([
      attempt().catch(() => undefined),
      sleep(limitMs, undefined, { signal: timeout.signal }).catch(() => undefined),
    ]);
  } finally {
    timeout.abort();
  }
}
