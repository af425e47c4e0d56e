/** Waiting with a deadline: for a condition, for something to answer, or no longer than a moment. */
import { setTimeout as sleep } from "node:timers/promises";
import { isMeshError, MeshError } from "../model/errors.ts";
import type { HandlerContext } from "./context.ts";

/** First and longest pause between two tries, in milliseconds. */
const pause = { first: 25, longest: 500 };

/**
 * Tries until there is a result. An `unavailable` failure is tried again, any other ends it.
 * @throws {MeshError} `unavailable` at the deadline, or at once when the context's signal is aborted: what was awaited and
 * why it did not come.
 */
export async function until<T>(
  what: string,
  context: Pick<HandlerContext, "now" | "deadlineMs" | "signal">,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  const end = context.now() + context.deadlineMs;
  let failure: unknown;
  for (let wait = pause.first; ; wait = Math.min(wait * 2, pause.longest)) {
    if (context.signal?.aborted) {
      throw new MeshError("unavailable", `${what}: ${(context.signal.reason as Error).message}`);
    }
    try {
      const result = await orAborted(attempt(), context.signal);
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
    await orAborted(sleep(wait), context.signal);
  }
}

/** The result, or undefined as soon as the signal is aborted. */
async function orAborted<T>(result: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  if (!signal) return await result;
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
  const onAbort = (): void => resolve(undefined);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) resolve(undefined);
  try {
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
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
