/** Read, decide, write: a transaction that is built again when another one got in between. */
import type { RecordKind, Records } from "../model/records.ts";
import type { Change, Commit, Store } from "../store/store.ts";
import { retryOnConflict } from "../store/watch.ts";

/**
 * Writes what `build` makes of the store's present content. `build` runs again after a conflict; make its changes with
 * {@link setCurrent} and {@link deleteCurrent} so that they hold only for what it has read.
 * @throws {MeshError} what build throws; `conflict` when it never got through.
 */
export function transact(store: Store, build: () => readonly Change[]): Promise<Commit> {
  return retryOnConflict(async () => store.txn(build()));
}

/** A set that holds only if the record is still as it is now. */
export function setCurrent<K extends RecordKind>(store: Store, kind: K, key: string, value: Records[K]): Change {
  return { op: "set", kind, key, value, ifIndex: store.get(kind, key)?.modifyIndex ?? 0 } as Change; // kind and value belong together by K
}

/** A delete that holds only if the record is still as it is now. */
export function deleteCurrent(store: Store, kind: RecordKind, key: string): Change {
  return { op: "delete", kind, key, ifIndex: store.get(kind, key)?.modifyIndex ?? 0 };
}
