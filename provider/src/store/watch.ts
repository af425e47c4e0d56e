/** What users of a store build on it: waiting for the next change of some records, and read-modify-write. */
import { isMeshError, MeshError } from "../model/errors.ts";
import type { RecordKind, Records } from "../model/records.ts";
import type { Change, Commit, Store, Stored } from "./store.ts";

/** Records by kind, and by the start of their key when a prefix is given. */
export interface Watched {
  readonly kind: RecordKind;
  readonly prefix?: string;
}

export interface WaitOptions {
  /** Never empty. */
  readonly kinds: readonly Watched[];
  /** Newest revision that the caller has seen; 0 answers at once. */
  readonly afterIndex: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Newest revision that touched any of the records. */
export function lastIndexOf(store: Store, kinds: readonly Watched[]): number {
  return Math.max(0, ...kinds.map(({ kind, prefix }) => store.lastIndex(kind, prefix)));
}

function touches(commit: Commit, kinds: readonly Watched[]): boolean {
  const watched = (record: Stored) =>
    kinds.some(({ kind, prefix = "" }) => record.kind === kind && record.key.startsWith(prefix));
  return commit.set.some(watched) || commit.deleted.some(watched);
}

/**
 * Waits until a commit touches one of the records after `afterIndex`; what a blocking query stands on. An `afterIndex`
 * that this store never reached (it was restored from a backup) answers at once, as in Consul a client then starts over.
 * @returns the revision of the newest change to those records: greater than `afterIndex`, or the same when the time is up
 * @throws the signal's reason when it is aborted.
 */
export function waitForChange(store: Store, options: WaitOptions): Promise<number> {
  const { kinds, afterIndex, timeoutMs, signal } = options;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const current = lastIndexOf(store, kinds);
    if (afterIndex === 0 || current > afterIndex || afterIndex > store.index) {
      resolve(current);
      return;
    }
    const finish = (settle: () => void) => {
      unsubscribe();
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      settle();
    };
    const onAbort = () => finish(() => reject(signal?.reason));
    const unsubscribe = store.subscribe((commit) => {
      if (touches(commit, kinds)) finish(() => resolve(commit.index));
    });
    const timer = setTimeout(() => finish(() => resolve(lastIndexOf(store, kinds))), timeoutMs);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Of n writers that meet at one record the last needs n attempts. */
const maxAttempts = 1000;

/**
 * Runs an attempt that reads the store and writes it under an ifIndex, again whenever somebody else was faster.
 * @throws {MeshError} whatever the attempt throws; its `conflict` only after 1000 attempts.
 */
export async function retryOnConflict<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isMeshError(error) || error.code !== "conflict" || tries >= maxAttempts) throw error;
    }
  }
}

/**
 * Read-modify-write of one record: `change` gets the value (undefined: there is none) and gives the new one (undefined:
 * delete it). It may be called several times, so it must have no effects; a MeshError `conflict` of its own is retried.
 * @returns the record as it is after the change.
 */
export function update<K extends RecordKind>(
  store: Store,
  kind: K,
  key: string,
  change: (value: Records[K] | undefined) => Records[K] | undefined,
): Promise<Stored<K> | undefined> {
  return retryOnConflict(async () => {
    const before = store.get(kind, key);
    const value = change(before?.value);
    const ifIndex = before?.modifyIndex ?? 0;
    const step = value === undefined ? { op: "delete", kind, key, ifIndex } : { op: "set", kind, key, value, ifIndex };
    const commit = await store.txn([step as Change]);
    if (value === undefined) return undefined;
    const after = commit.set[0] ?? before;
    if (!after) throw new MeshError("internal", `${kind} "${key}": a change without a result`);
    return after as Stored<K>;
  });
}
