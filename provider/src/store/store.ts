/**
 * The store's interface. Reads are synchronous, from a consistent local view; writes are transactions that are durable
 * when the promise resolves. A distributed store (etcd) can stand behind it: nothing here assumes one writer.
 */
import type { RecordKind, Records } from "../model/records.ts";

/** A record with the revisions that made it and last changed it (Consul's CreateIndex and ModifyIndex). */
export interface Stored<K extends RecordKind = RecordKind> {
  readonly kind: K;
  readonly key: string;
  readonly value: Records[K];
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/**
 * One change of a transaction. `ifIndex` makes the whole transaction conditional: the record's modifyIndex must be this
 * (0: it must not exist).
 */
export type Change<K extends RecordKind = RecordKind> = {
  [P in K]:
    | {
        readonly op: "set";
        readonly kind: P;
        readonly key: string;
        readonly value: Records[P];
        readonly ifIndex?: number;
      }
    | { readonly op: "delete"; readonly kind: P; readonly key: string; readonly ifIndex?: number };
}[K];

/** What one commit did: records in their new form, and the last form of what it deleted. A set that changes nothing is left out. */
export interface Commit {
  readonly index: number;
  readonly set: readonly Stored[];
  readonly deleted: readonly Stored[];
}

export interface Store {
  /** Revision of the newest commit; 0 when nothing was ever written. */
  readonly index: number;
  get<K extends RecordKind>(kind: K, key: string): Stored<K> | undefined;
  /** Records whose key starts with the prefix, sorted by key. */
  list<K extends RecordKind>(kind: K, prefix?: string): readonly Stored<K>[];
  /** Newest revision that touched the kind (and prefix), deletions included; what a blocking query waits on. Survives a restart. */
  lastIndex(kind: RecordKind, prefix?: string): number;
  /**
   * Applies all changes or none; durable once resolved. Transactions are applied in the order of the calls.
   * @throws {MeshError} `conflict` when an ifIndex does not hold, `unavailable` when the disk refuses (nothing changed).
   */
  txn(changes: readonly Change[]): Promise<Commit>;
  /** Calls the listener after each commit, in order, before txn's promise resolves. @returns the way to stop. */
  subscribe(listener: (commit: Commit) => void): () => void;
  close(): void;
}
