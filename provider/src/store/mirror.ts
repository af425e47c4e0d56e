/** The in-memory view that every read of a store is answered from: records by kind in key order, and what was deleted when. */
import type { RecordKind } from "../model/records.ts";
import type { Commit, Stored } from "./store.ts";

/** How many deletions of a kind are remembered one by one, unless a store is opened with another number. */
export const defaultTombstoneLimit = 1024;

/**
 * One kind's records. `tombstones` maps deleted keys to the revision of their deletion, oldest first; when there are
 * more than the limit the oldest are forgotten, and `floor` is the newest revision forgotten: every prefix then counts
 * as touched at `floor`, so a reader may be woken once too often but never once too few.
 */
interface Table {
  readonly records: Map<string, Stored>;
  keys: string[];
  readonly tombstones: Map<string, number>;
  last: number;
  floor: number;
}

/** What a store read from its disk. */
export interface MirrorContent {
  readonly index: number;
  readonly records: readonly Stored[];
  /** Oldest first. */
  readonly tombstones: readonly { readonly kind: string; readonly key: string; readonly index: number }[];
  readonly kinds: readonly { readonly kind: string; readonly last: number; readonly floor: number }[];
}

export interface Mirror {
  readonly index: () => number;
  readonly get: (kind: RecordKind, key: string) => Stored | undefined;
  readonly list: (kind: RecordKind, prefix: string) => readonly Stored[];
  readonly lastIndex: (kind: RecordKind, prefix: string) => number;
  readonly apply: (commit: Commit) => void;
}

/** Position of the first key that is not less than `key`, by UTF-16 code units. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Records whose key starts with the prefix; they lie side by side in key order. */
function* withPrefix(table: Table, prefix: string): Generator<Stored> {
  for (let at = lowerBound(table.keys, prefix); at < table.keys.length; at++) {
    const key = table.keys[at]!;
    if (!key.startsWith(prefix)) return;
    yield table.records.get(key)!;
  }
}

function forgetOldest(table: Table, limit: number): void {
  if (table.tombstones.size <= limit) return;
  for (const [key, index] of table.tombstones) {
    // A revision is forgotten whole: the sqlite file, which knows no order within one, must forget the same.
    if (table.tombstones.size <= limit && index > table.floor) return;
    table.tombstones.delete(key);
    table.floor = index;
  }
}

function applyToTable(table: Table, index: number, limit: number, set: readonly Stored[], deleted: readonly Stored[]) {
  table.last = index;
  for (const record of set) {
    if (!table.records.has(record.key)) table.keys.splice(lowerBound(table.keys, record.key), 0, record.key);
    table.records.set(record.key, record);
    table.tombstones.delete(record.key);
  }
  for (const { key } of deleted) {
    table.records.delete(key);
    table.keys.splice(lowerBound(table.keys, key), 1);
    table.tombstones.set(key, index);
  }
  forgetOldest(table, limit);
}

/**
 * @param tombstoneLimit deletions remembered a kind
 * @param content what to start from; nothing when absent
 */
export function createMirror(tombstoneLimit: number, content?: MirrorContent): Mirror {
  const tables = new Map<string, Table>();
  let newest = content?.index ?? 0;

  function tableOf(kind: string): Table {
    let table = tables.get(kind);
    if (!table) {
      table = { records: new Map(), keys: [], tombstones: new Map(), last: 0, floor: 0 };
      tables.set(kind, table);
    }
    return table;
  }

  for (const { kind, last, floor } of content?.kinds ?? []) Object.assign(tableOf(kind), { last, floor });
  for (const { kind, key, index } of content?.tombstones ?? []) tableOf(kind).tombstones.set(key, index);
  for (const record of content?.records ?? []) tableOf(record.kind).records.set(record.key, record);
  for (const table of tables.values()) {
    table.keys = [...table.records.keys()].sort((a, b) => (a < b ? -1 : 1));
    forgetOldest(table, tombstoneLimit);
  }

  return {
    index: () => newest,
    get: (kind, key) => tables.get(kind)?.records.get(key),
    list: (kind, prefix) => {
      const table = tables.get(kind);
      return table ? [...withPrefix(table, prefix)] : [];
    },
    lastIndex: (kind, prefix) => {
      const table = tables.get(kind);
      if (!table) return 0;
      if (prefix === "") return table.last;
      let last = table.floor;
      for (const record of withPrefix(table, prefix)) last = Math.max(last, record.modifyIndex);
      for (const [key, index] of table.tombstones) if (index > last && key.startsWith(prefix)) last = index;
      return last;
    },
    apply: (commit) => {
      newest = commit.index;
      const kinds = new Set([...commit.set, ...commit.deleted].map((record) => record.kind));
      for (const kind of kinds) {
        const ofKind = (record: Stored) => record.kind === kind;
        applyToTable(
          tableOf(kind),
          commit.index,
          tombstoneLimit,
          commit.set.filter(ofKind),
          commit.deleted.filter(ofKind),
        );
      }
    },
  };
}
