/** TTL checks: a check that is not reported in time becomes critical. Its status lives in the store, its deadline here. */
import { parseDurationMs } from "../model/duration.ts";
import type { CheckRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";
import { type Clock, createDeadlines } from "./deadlines.ts";
import { followChecks } from "./follow-checks.ts";
import { setCurrent, transact } from "./transact.ts";

export interface Ttl {
  /** A report came in: the check has its whole TTL again. Unknown keys and other types are left alone. */
  refresh(checkKey: string): void;
  close(): void;
}

/**
 * Watches every TTL check of a node. After a start each check keeps its stored status until its TTL has passed once.
 * @param deps.onError told when a status could not be written
 */
export function createTtl(deps: {
  readonly store: Store;
  readonly node: string;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}): Ttl {
  const { store } = deps;

  const expire = (key: string): void => {
    transact(store, () => {
      const check = store.get("check", key)?.value;
      // A report that came while the expiry was being written has set a new deadline: it wins.
      if (!check || ttlOf(check) === undefined || check.Status === "critical" || deadlines.has(key)) return [];
      const last = check.Output === "" ? "" : ` (last output before: ${check.Output})`;
      return [setCurrent(store, "check", key, { ...check, Status: "critical", Output: `TTL expired${last}` })];
    }).catch(deps.onError);
  };
  const deadlines = createDeadlines(deps.clock, expire);

  const follow = (key: string, check: CheckRecord): void => {
    const ttl = ttlOf(check);
    if (ttl === undefined || check.Status === "critical") deadlines.delete(key);
    else if (!deadlines.has(key)) deadlines.set(key, ttl);
  };
  const stop = followChecks(store, deps.node, follow, deadlines.delete);
  return {
    refresh: (key) => {
      const check = store.get("check", key)?.value;
      const ttl = check && ttlOf(check);
      if (check && ttl !== undefined && check.Status !== "critical") deadlines.set(key, ttl);
    },
    close: () => {
      stop();
      deadlines.close();
    },
  };
}

function ttlOf(check: CheckRecord): number | undefined {
  return check.Type === "ttl" && check.Definition.TTL ? parseDurationMs(check.Definition.TTL) : undefined;
}
