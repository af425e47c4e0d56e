/** All that a datacenter publishes to the others, kept up to date commit by commit and shared by every link. */

import { digestOf } from "../model/digest.ts";
import type { ImportedServiceRecord, RecordKind, Records } from "../model/records.ts";
import type { Store, Stored } from "../store/store.ts";
import { exportsOf } from "./exports.ts";
import type { ReplicatedKind } from "./protocol.ts";
import { isLocal, recordId } from "./protocol.ts";

export interface PublishedRecord {
  readonly kind: ReplicatedKind;
  readonly key: string;
  readonly value: Records[ReplicatedKind];
  readonly digest: string;
  /** Length of its JSON in characters. */
  readonly size: number;
}

export interface Publication {
  /** Revision of the store that the records are at least at. */
  readonly index: number;
  /** By record id; in order of kinds after the start. */
  readonly records: ReadonlyMap<string, PublishedRecord>;
  /** Calls the listener with the ids of what changed, and with none when only the index moved. @returns the way to stop. */
  subscribe(listener: (changed: readonly string[]) => void): () => void;
  close(): void;
}

const catalogKinds: ReadonlySet<RecordKind> = new Set(["node", "service", "check"]);

/** Publishes the datacenter's own exports and the stored records of the given kinds. */
export function createPublication(store: Store, datacenter: string, kinds: readonly ReplicatedKind[]): Publication {
  const records = new Map<string, PublishedRecord>();
  const listeners = new Set<(changed: readonly string[]) => void>();
  let exported = new Set<string>();
  let changed = new Set<string>();
  let catalogTouched = false;
  let index = 0;
  let scheduled: NodeJS.Immediate | undefined;

  const put = (kind: ReplicatedKind, key: string, value: Records[ReplicatedKind]): string => {
    const id = recordId(kind, key);
    const { digest, size } = digestOf(value);
    if (records.get(id)?.digest !== digest) {
      records.set(id, { kind, key, value, digest, size });
      changed.add(id);
    }
    return id;
  };
  const drop = (id: string): void => {
    if (records.delete(id)) changed.add(id);
  };

  const takeStored = ({ kind, key, value }: Stored, deleted: boolean): void => {
    if (catalogKinds.has(kind)) catalogTouched = true;
    const published = kinds.find((one) => one === kind);
    if (published === undefined || isOwnImport(kind, value, datacenter)) return;
    if (deleted || isLocal(kind, value)) drop(recordId(kind, key));
    else put(published, key, value as Records[ReplicatedKind]);
  };

  const takeCatalog = (): void => {
    catalogTouched = false;
    const list = <K extends RecordKind>(kind: K) => store.list(kind).map(({ value }) => value);
    const now = exportsOf({ nodes: list("node"), services: list("service"), checks: list("check") }, datacenter);
    const ids = new Set(now.map((record) => put("imported-service", `${datacenter}/${record.Service}`, record)));
    for (const id of exported) if (!ids.has(id)) drop(id);
    exported = ids;
  };

  const publish = (): void => {
    scheduled = undefined;
    if (catalogTouched) takeCatalog();
    index = store.index;
    const ids = [...changed];
    changed = new Set();
    for (const listener of [...listeners]) listener(ids);
  };

  for (const kind of kinds) for (const stored of store.list(kind)) takeStored(stored, false);
  takeCatalog();
  changed.clear();
  index = store.index;
  const unsubscribe = store.subscribe((commit) => {
    for (const stored of commit.set) takeStored(stored, false);
    for (const stored of commit.deleted) takeStored(stored, true);
    // Commits of one turn of the event loop go out together, and the exports are computed once for them.
    scheduled ??= setImmediate(publish);
  });

  return {
    get index() {
      return index;
    },
    records,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      unsubscribe();
      if (scheduled) clearImmediate(scheduled);
      listeners.clear();
    },
  };
}

/** What a store holds as imported from its own datacenter cannot be: exports are computed. */
function isOwnImport(kind: RecordKind, value: Records[RecordKind], datacenter: string): boolean {
  return kind === "imported-service" && (value as ImportedServiceRecord).Datacenter === datacenter;
}
