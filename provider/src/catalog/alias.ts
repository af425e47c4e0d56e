/** Alias checks: keeps the stored status of each equal to the health of the instance it repeats. */
import type { CheckRecord, ServiceRecord } from "../model/records.ts";
import type { Change, Commit, Store } from "../store/store.ts";
import { aliasStatus } from "./checks.ts";
import { setCurrent, transact } from "./transact.ts";

/** Watches the alias checks of a node. @returns its owner's way to end it. */
export function createAliases(deps: {
  readonly store: Store;
  readonly node: string;
  readonly onError: (error: unknown) => void;
}): { readonly close: () => void } {
  const { store } = deps;
  const prefix = `${deps.node}/`;
  let aliases = new Set<string>();
  let closed = false;

  const changes = (): readonly Change[] => {
    const checks = store.list("check", prefix).map((record) => record.value);
    return [...aliases].flatMap((key) => {
      const alias = store.get("check", key)?.value;
      const id = alias?.Definition.AliasService;
      if (alias?.Type !== "alias" || !id) return [];
      const exists = store.get("service", `${prefix}${id}`) !== undefined;
      // An alias never repeats an alias: two that name each other would hold each other critical for ever.
      const next = aliasStatus(
        { id, exists },
        checks.filter((check) => check.ServiceID === id && check.Type !== "alias"),
      );
      if (next.Status === alias.Status && next.Output === alias.Output) return [];
      return [setCurrent(store, "check", key, { ...alias, ...next })];
    });
  };
  const update = (): void => {
    if (closed || aliases.size === 0 || changes().length === 0) return;
    transact(store, changes).catch(deps.onError);
  };
  const onCommit = (commit: Commit): void => {
    let concerned = false;
    for (const record of [...commit.deleted, ...commit.set]) {
      if (record.kind === "service") concerned ||= (record.value as ServiceRecord).Node === deps.node;
      if (record.kind !== "check" || !record.key.startsWith(prefix)) continue;
      concerned = true;
      if ((record.value as CheckRecord).Type === "alias") aliases.add(record.key);
    }
    if (!concerned || aliases.size === 0) return;
    aliases = new Set([...aliases].filter((key) => store.get("check", key)?.value.Type === "alias"));
    queueMicrotask(update); // not inside the commit that told us
  };

  for (const record of store.list("check", prefix)) {
    if (record.value.Type === "alias") aliases.add(record.key);
  }
  const stop = store.subscribe(onCommit);
  update();
  return {
    close: () => {
      closed = true;
      stop();
    },
  };
}
