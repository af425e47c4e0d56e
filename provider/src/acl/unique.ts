/**
 * Uniqueness beyond the key: of policy names and of secrets. Writers of one sort of name take turns by way of a fact that
 * each of them changes under an ifIndex, so it holds with several writers of one store too.
 */
import type { Change, Store } from "../store/store.ts";
import { retryOnConflict } from "../store/watch.ts";

/**
 * Runs an attempt that looks for a clash and then writes; the guard must be part of its transaction. When somebody else
 * wrote in between, the attempt runs again.
 */
export function withUniqueNames<T>(store: Store, sort: string, attempt: (guard: Change) => Promise<T>): Promise<T> {
  return retryOnConflict(async () => {
    const before = store.get("fact", sort);
    const value = { Value: String(Number(before?.value.Value ?? 0) + 1) };
    return await attempt({ op: "set", kind: "fact", key: sort, value, ifIndex: before?.modifyIndex ?? 0 });
  });
}
