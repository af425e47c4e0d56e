/** Results of the checks that proxies run, written into the check records; only a change of status is a write. */
import type { HealthTarget } from "../ads/source.ts";
import type { CheckStatus, ServiceRecord } from "../model/records.ts";
import type { Change, Store } from "../store/store.ts";

export function createHealthTarget(deps: {
  readonly store: Store;
  readonly proxy: (id: string) => ServiceRecord | undefined;
  readonly checks: Pick<HealthTarget, "checks" | "subscribe">;
  readonly onError: (error: unknown) => void;
}): HealthTarget {
  return {
    ...deps.checks,
    report: (proxyId, results) => {
      const node = deps.proxy(proxyId)?.Node;
      const changes: Change[] = [];
      for (const result of results) {
        const key = `${node}/${result.checkId}`;
        const check = deps.store.get("check", key)?.value;
        const status: CheckStatus = result.healthy ? "passing" : "critical";
        if (!check || check.Status === status) continue;
        changes.push({ op: "set", kind: "check", key, value: { ...check, Status: status, Output: result.reason } });
      }
      if (changes.length > 0) deps.store.txn(changes).catch(deps.onError);
    },
    // The last known result stays: whether the proxy itself is gone is told by its own check.
    lost: () => {},
  };
}
