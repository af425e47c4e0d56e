/** Leaves for snapshots: what the store has, and the start of issuing what it has not; the leaf's arrival is a commit. */
import type { Clock } from "../ca/clock.ts";
import { isMeshError } from "../model/errors.ts";
import type { LeafRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";

export interface LeafSource {
  /** The stored leaf; without one, one is being issued when this returns, and tried again until it is there. */
  readonly leaf: (service: string) => LeafRecord | undefined;
  close(): void;
}

/** Wait before the next try, in milliseconds: the CA may have no signing certificate yet. */
const retryMs = 500;

export function createLeafSource(deps: {
  readonly store: Store;
  readonly issue: (service: string) => Promise<LeafRecord>;
  /** Whether a sidecar still stands for the service. */
  readonly isWanted: (service: string) => boolean;
  readonly clock: Pick<Clock, "after">;
  readonly onError: (error: unknown) => void;
}): LeafSource {
  const asked = new Set<string>();
  const retries = new Map<string, () => void>();
  let closed = false;

  const ask = (service: string, failures: number): void => {
    deps.issue(service).then(
      () => void asked.delete(service),
      (error: unknown) => {
        if (closed) return;
        if (failures === 0) deps.onError(error);
        // A name that can have no certificate will not have one later either.
        if (isMeshError(error) && error.code === "invalid") return;
        const retry = (): void => {
          retries.delete(service);
          if (deps.isWanted(service)) ask(service, failures + 1);
          else asked.delete(service);
        };
        retries.set(service, deps.clock.after(retryMs, retry));
      },
    );
  };

  return {
    leaf: (service) => {
      const stored = deps.store.get("leaf", service)?.value;
      if (!stored && service !== "" && !asked.has(service) && !closed) {
        asked.add(service);
        ask(service, 0);
      }
      return stored;
    },
    close: () => {
      closed = true;
      for (const cancel of retries.values()) cancel();
    },
  };
}
