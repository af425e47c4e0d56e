/** Leaves for snapshots: what the store has, and the start of issuing what it has not; the leaf's arrival is a commit. */
import type { LeafRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";

export interface LeafSource {
  readonly leaf: (service: string) => LeafRecord | undefined;
  /** Told of each leaf that was written. */
  readonly renewed: (leaf: LeafRecord) => void;
}

export function createLeafSource(deps: {
  readonly store: Store;
  readonly leaf: (service: string) => Promise<LeafRecord>;
  readonly onError: (error: unknown) => void;
}): LeafSource {
  const asked = new Set<string>();
  return {
    leaf: (service) => {
      if (service !== "" && !asked.has(service)) {
        asked.add(service);
        deps.leaf(service).catch((error: unknown) => {
          asked.delete(service);
          deps.onError(error);
        });
      }
      return deps.store.get("leaf", service)?.value;
    },
    renewed: (leaf) => asked.add(leaf.Service),
  };
}
