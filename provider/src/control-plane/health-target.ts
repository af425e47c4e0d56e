/** Results of the checks that proxies run, written into the check records; only a change of status is a write. */
import type { HealthTarget } from "../ads/source.ts";
import { setCurrent, transact } from "../catalog/transact.ts";
import type { CheckStatus, ServiceRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";

export function createHealthTarget(deps: {
  readonly store: Store;
  readonly proxy: (id: string) => ServiceRecord | undefined;
  readonly checks: Pick<HealthTarget, "checks" | "subscribe">;
  readonly onError: (error: unknown) => void;
}): HealthTarget {
  const { store } = deps;
  return {
    ...deps.checks,
    report: (proxyId, results) => {
      const node = deps.proxy(proxyId)?.Node;
      const changes = () =>
        results.flatMap((result) => {
          const key = `${node}/${result.checkId}`;
          const check = store.get("check", key)?.value;
          const status: CheckStatus = result.healthy ? "passing" : "critical";
          if (!check || check.Status === status) return [];
          return [setCurrent(store, "check", key, { ...check, Status: status, Output: result.reason })];
        });
      if (changes().length > 0) transact(store, changes).catch(deps.onError);
    },
    // The last known result stays: whether the proxy itself is gone is told by its own check.
    lost: () => {},
  };
}
