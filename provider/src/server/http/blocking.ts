/** Blocking queries: `index` and `wait`, over the store or anything else that has an index. */

import type { Authorizer } from "../../model/authorizer.ts";
import { parseDurationMs } from "../../model/duration.ts";
import { MeshError } from "../../model/errors.ts";
import type { Store } from "../../store/store.ts";
import { lastIndexOf, type Watched, waitForChange } from "../../store/watch.ts";
import type { Call, Reply } from "./call.ts";
import type { Watchable } from "./dependencies.ts";

/** Something with an index that can be waited on. */
export interface IndexSource {
  index(): number;
  /** Resolves when the index is greater than the given one, or smaller than it ever was, or the time is up. */
  wait(afterIndex: number, timeoutMs: number, signal: AbortSignal): Promise<unknown>;
}

/** The records of these kinds and key prefixes. */
export function storeSource(store: Store, kinds: readonly Watched[]): IndexSource {
  return {
    index: () => lastIndexOf(store, kinds),
    wait: (afterIndex, timeoutMs, signal) => waitForChange(store, { kinds, afterIndex, timeoutMs, signal }),
  };
}

/** Something outside the store. */
export function watchableSource(watchable: Watchable): IndexSource {
  return {
    index: () => watchable.index,
    wait: (afterIndex, timeoutMs, signal) =>
      new Promise<void>((resolve, reject) => {
        if (watchable.index !== afterIndex) return resolve();
        const finish = (settle: () => void): void => {
          stop();
          clearTimeout(timer);
          signal.removeEventListener("abort", onAbort);
          settle();
        };
        const onAbort = (): void => finish(() => reject(signal.reason));
        const stop = watchable.subscribe(() => {
          if (watchable.index !== afterIndex) finish(resolve);
        });
        const timer = setTimeout(() => finish(resolve), timeoutMs);
        signal.addEventListener("abort", onAbort, { once: true });
      }),
  };
}

const defaultWaitMs = 5 * 60_000;
const longestWaitMs = 10 * 60_000;

/** `index` and `wait` of a query; undefined when it does not block. @throws {MeshError} `invalid` */
export function blockingOptions(
  query: URLSearchParams,
): { readonly index: number; readonly waitMs: number } | undefined {
  const text = query.get("index");
  const waitText = query.get("wait");
  const waitMs = waitText === null || waitText === "" ? 0 : parseDurationMs(waitText);
  if (waitMs === undefined) {
    throw new MeshError("invalid", `Invalid wait time ${JSON.stringify(waitText)}: write a duration such as 30s or 5m`);
  }
  if (text === null || text === "") return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw new MeshError(
      "invalid",
      `Invalid index ${JSON.stringify(text)}: send the X-Consul-Index of an earlier answer`,
    );
  const index = Number(text);
  if (index === 0) return undefined;
  return { index, waitMs: waitMs === 0 ? defaultWaitMs : Math.min(waitMs, longestWaitMs) };
}

/**
 * Answers a read at once, or after the source has changed since the caller's index. The caller's rights are looked up
 * again after the wait: a token that went away meanwhile sees nothing new.
 */
export async function blockingRead(
  call: Call,
  source: IndexSource,
  view: (authorizer: Authorizer) => Reply | Promise<Reply>,
): Promise<Reply> {
  const options = blockingOptions(call.query);
  call.authorizer();
  if (options) await source.wait(options.index, options.waitMs, call.signal);
  const index = Math.max(1, source.index());
  const reply = await view(call.authorizer());
  return { ...reply, headers: { ...reply.headers, "X-Consul-Index": String(index) } };
}
