/** `/v1/config*`: proxy-defaults, service-defaults and service-intentions. Only the primary writes them. */
import { indexes } from "../../catalog/json.ts";
import { transact } from "../../catalog/transact.ts";
import type { Authorizer } from "../../model/authorizer.ts";
import { digestOf } from "../../model/digest.ts";
import { isMeshError, MeshError } from "../../model/errors.ts";
import type { Change, Commit, Stored } from "../../store/store.ts";
import { blockingRead, storeSource } from "./blocking.ts";
import { type Call, json, param, type Reply, type Route } from "./call.ts";
import { type ConfigKind, configKind, parseConfigEntry } from "./config-entry.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { demand, demandOperatorWrite, demandServiceWrite } from "./permissions.ts";

const always = (): boolean => true;

/** Instead of `cas` from a secondary: done only if the entry has this content. */
const casDigest = "cas-digest";

export function configRoutes(deps: ApiDependencies): readonly Route[] {
  const { store } = deps;

  const put = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const entry = parseConfigEntry(await call.json());
    demandWrite(authorizer, entry.Kind, entry.Name);
    const change = { op: "set", kind: "config-entry", key: `${entry.Kind}/${entry.Name}`, value: entry } as const;
    return conditional(call, change, true);
  };

  const remove = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const kind = configKind(param(call, "kind"));
    const name = param(call, "name");
    demandWrite(authorizer, kind, name);
    return conditional(call, { op: "delete", kind: "config-entry", key: `${kind}/${name}` }, {});
  };

  /** `?cas=`: done only at that ModifyIndex (0: only if it does not exist); the answer is then true or false. */
  const conditional = async (call: Call, change: Change, answer: unknown): Promise<Reply> => {
    const digest = call.query.get(casDigest);
    const cas = casOf(call);
    if (cas === undefined && digest === null) return json(answer, (await transact(store, () => [change])).index);
    const present = store.get("config-entry", change.key);
    if (digest !== null && (!present || digestOf(present.value).digest !== digest)) return json(false);
    let commit: Commit;
    try {
      commit = await store.txn([{ ...change, ifIndex: digest === null ? (cas ?? 0) : (present?.modifyIndex ?? 0) }]);
    } catch (error) {
      if (isMeshError(error) && error.code === "conflict") return json(false);
      throw error;
    }
    return json(true, commit.index);
  };

  /**
   * A ModifyIndex of this datacenter means nothing in the primary: it is asked to write over the very entry that has that
   * index here. What is newer here already is newer there too.
   */
  const forPrimary = (key: (call: Call) => Promise<string>) => async (call: Call) => {
    const cas = casOf(call);
    if (cas === undefined || cas === 0) return call.query;
    const seen = store.get("config-entry", await key(call));
    const query = new URLSearchParams(call.query);
    query.delete("cas");
    query.set(casDigest, seen?.modifyIndex === cas ? digestOf(seen.value).digest : "outdated");
    return query;
  };
  const keyInBody = async (call: Call): Promise<string> => {
    const { Kind, Name } = parseConfigEntry(await call.json());
    return `${Kind}/${Name}`;
  };
  const keyInPath = async (call: Call): Promise<string> => `${param(call, "kind")}/${param(call, "name")}`;

  const get = (call: Call): Promise<Reply> => {
    const kind = configKind(param(call, "kind"));
    const name = param(call, "name");
    const key = `${kind}/${name}`;
    return blockingRead(call, storeSource(store, [{ kind: "config-entry", prefix: key }]), (authorizer) => {
      if (!canRead(authorizer, kind, name))
        demand(authorizer, false, kind === "service-intentions" ? "intention:read" : "service:read", name);
      const entry = store.get("config-entry", key);
      if (!entry)
        throw new MeshError(
          "not_found",
          `Config entry not found for ${JSON.stringify(kind)} / ${JSON.stringify(name)}`,
        );
      return json(shown(entry));
    });
  };

  const list = (call: Call): Promise<Reply> => {
    const kind = configKind(param(call, "kind"));
    return blockingRead(call, storeSource(store, [{ kind: "config-entry", prefix: `${kind}/` }]), (authorizer) =>
      json(
        store
          .list("config-entry", `${kind}/`)
          .filter((entry) => canRead(authorizer, kind, entry.value.Name))
          .map(shown),
      ),
    );
  };

  return [
    { method: "PUT", path: "/v1/config", toPrimary: always, forwardedQuery: forPrimary(keyInBody), handle: put },
    { method: "GET", path: "/v1/config/:kind", handle: list },
    { method: "GET", path: "/v1/config/:kind/:name", handle: get },
    {
      method: "DELETE",
      path: "/v1/config/:kind/:name",
      toPrimary: always,
      forwardedQuery: forPrimary(keyInPath),
      handle: remove,
    },
  ];
}

/** @throws {MeshError} `invalid` when it is no index. */
function casOf(call: Call): number | undefined {
  const cas = call.query.get("cas");
  if (cas === null || cas === "") return undefined;
  if (/^\d{1,15}$/.test(cas)) return Number(cas);
  throw new MeshError("invalid", `cas ${JSON.stringify(cas)}: send the ModifyIndex that the entry must have`);
}

function shown(entry: Stored<"config-entry">): unknown {
  return { ...entry.value, ...indexes(entry) };
}

function demandWrite(authorizer: Authorizer, kind: ConfigKind, name: string): void {
  if (kind === "proxy-defaults") demandOperatorWrite(authorizer);
  else if (kind === "service-defaults") demandServiceWrite(authorizer, name);
  else demand(authorizer, authorizer.intentionWrite(name), "intention:write", name);
}

function canRead(authorizer: Authorizer, kind: ConfigKind, name: string): boolean {
  switch (kind) {
    case "proxy-defaults":
      return true;
    case "service-defaults":
      return authorizer.serviceRead(name);
    case "service-intentions":
      return authorizer.intentionRead(name);
    default:
      return kind satisfies never;
  }
}
