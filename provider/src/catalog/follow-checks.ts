/** Follows the checks of a node: each as it is at the start and at every change, and every one that goes. */
import type { CheckRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";

/**
 * @param seen told of every check of the node now, and of each that is written from then on
 * @param gone told of every check, of any node, that is deleted
 * @returns the way to stop
 */
export function followChecks(
  store: Store,
  node: string,
  seen: (key: string, check: CheckRecord) => void,
  gone: (key: string) => void,
): () => void {
  const prefix = `${node}/`;
  for (const record of store.list("check", prefix)) seen(record.key, record.value);
  return store.subscribe((commit) => {
    for (const record of commit.deleted) {
      if (record.kind === "check") gone(record.key);
    }
    for (const record of commit.set) {
      if (record.kind === "check" && record.key.startsWith(prefix)) seen(record.key, record.value as CheckRecord);
    }
  });
}
