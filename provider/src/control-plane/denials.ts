/**
 * How often an allowed pair of services was denied. The number goes into the source's sidecar, which ends the pair's open
 * connections, and nobody else's, when it grows; allowing changes nothing that is open. Kept, so that a restart cuts
 * nothing and a denial that came while the control plane was down still cuts.
 */
import type { Store } from "../store/store.ts";

/** A caller's upstream. */
export interface Pair {
  readonly source: string;
  readonly destination: string;
  /** The destination's. */
  readonly datacenter: string;
}

interface Known {
  readonly count: number;
  readonly allowed: boolean;
}

/** Takes note of what holds for the pair now; returns how often it went from allowed to denied. */
export type Denials = (pair: Pair, allowed: boolean) => number;

export function createDenials(store: Store, onError: (error: unknown) => void): Denials {
  const pairs = new Map<string, Known>();

  const stored = (key: string): Known | undefined => {
    const [count, state] = store.get("fact", key)?.value.Value.split(" ") ?? [];
    return count === undefined ? undefined : { count: Number(count), allowed: state === "allowed" };
  };

  return ({ source, destination, datacenter }, allowed) => {
    const key = `denials/${source}/${datacenter}/${destination}`;
    const before = pairs.get(key) ?? stored(key);
    if (before?.allowed === allowed) return before.count;
    const count = (before?.count ?? 0) + (before?.allowed && !allowed ? 1 : 0);
    pairs.set(key, { count, allowed });
    const value = { Value: `${count} ${allowed ? "allowed" : "denied"}` };
    store.txn([{ op: "set", kind: "fact", key, value }]).catch(onError);
    return count;
  };
}
