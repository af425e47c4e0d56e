/** `DeregisterCriticalServiceAfter`: a service whose check stays critical that long is taken out of the catalog. */
import { parseDurationMs } from "../model/duration.ts";
import type { CheckRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";
import { type Clock, createDeadlines } from "./deadlines.ts";
import { followChecks } from "./follow-checks.ts";
import { deregistrationChanges } from "./registration-changes.ts";
import { transact } from "./transact.ts";

/** Consul's least delay; a shorter one counts as this. */
const leastDelayMs = 60_000;

/** Watches every check of a node; after a start the time counts anew. @returns its owner's way to end it. */
export function createReaper(deps: {
  readonly store: Store;
  readonly node: string;
  readonly clock: Clock;
  readonly onReaped: (serviceId: string, checkId: string) => void;
  readonly onError: (error: unknown) => void;
}): { readonly close: () => void } {
  const { store } = deps;

  const reap = async (key: string): Promise<void> => {
    let reaped: CheckRecord | undefined;
    await transact(store, () => {
      const check = store.get("check", key)?.value;
      reaped = check && delayOf(check) !== undefined && check.Status === "critical" ? check : undefined;
      return reaped ? deregistrationChanges(store, deps.node, reaped.ServiceID) : [];
    });
    if (reaped) deps.onReaped(reaped.ServiceID, reaped.CheckID);
  };
  const deadlines = createDeadlines(deps.clock, (key) => {
    reap(key).catch(deps.onError);
  });

  const follow = (key: string, check: CheckRecord): void => {
    const delay = delayOf(check);
    if (delay === undefined || check.Status !== "critical") deadlines.delete(key);
    else if (!deadlines.has(key)) deadlines.set(key, Math.max(delay, leastDelayMs));
  };
  const stop = followChecks(store, deps.node, follow, deadlines.delete);
  return {
    close: () => {
      stop();
      deadlines.close();
    },
  };
}

function delayOf(check: CheckRecord): number | undefined {
  const delay = check.Definition.DeregisterCriticalServiceAfter;
  const ms = check.ServiceID !== "" && delay ? parseDurationMs(delay) : undefined;
  return ms === 0 ? undefined : ms;
}
