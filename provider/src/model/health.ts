/** Health as the sum of checks. Pure. */
import type { CheckRecord, CheckStatus } from "./records.ts";

const badness: Readonly<Record<CheckStatus, number>> = { passing: 0, warning: 1, critical: 2 };

/** The worst status; `passing` when there is no check. */
export function worstStatus(checks: Iterable<Pick<CheckRecord, "Status">>): CheckStatus {
  let worst: CheckStatus = "passing";
  for (const check of checks) {
    if (badness[check.Status] > badness[worst]) worst = check.Status;
  }
  return worst;
}
