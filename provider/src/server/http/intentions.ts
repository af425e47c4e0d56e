/** `/v1/connect/intentions*`: one intention a pair, kept as service-intentions entries. Only the primary writes them. */
import { z } from "zod";
import {
  decidingIntention,
  type Intention,
  intentionsOf,
  matchingIntentions,
  withoutSource,
  withSource,
} from "../../catalog/intentions.ts";
import { deleteCurrent, setCurrent, transact } from "../../catalog/transact.ts";
import type { Authorizer } from "../../model/authorizer.ts";
import { MeshError } from "../../model/errors.ts";
import type { ServiceIntentionsEntry } from "../../model/records.ts";
import type { Change, Store } from "../../store/store.ts";
import { blockingRead, storeSource } from "./blocking.ts";
import { type Call, json, type Reply, type Route } from "./call.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { apiObject, serviceNameOrAny, text } from "./fields.ts";
import { parseAs } from "./json-body.ts";
import { demand } from "./permissions.ts";

const always = (): boolean => true;

/** Properties of an intention that clients send back and nobody reads. */
export const intentionReadOnly = [
  "ID",
  "Precedence",
  "CreatedAt",
  "UpdatedAt",
  "Hash",
  "CreateIndex",
  "ModifyIndex",
  "DefaultAddr",
  "DefaultPort",
  "LegacyID",
];
/** Properties of Consul's intentions that this mesh has not. */
export const intentionUnsupported = [
  "Permissions",
  "Meta",
  "SourcePeer",
  "SourcePartition",
  "SourceSamenessGroup",
  "DestinationPartition",
];

/** Properties of an intention in a body. */
export const intentionFields = {
  SourceNS: z.enum(["", "default"], { error: 'must be "default" or absent' }).exactOptional(),
  DestinationNS: z.enum(["", "default"], { error: 'must be "default" or absent' }).exactOptional(),
  SourceName: serviceNameOrAny.exactOptional(),
  DestinationName: serviceNameOrAny.exactOptional(),
  SourceType: z.enum(["", "consul"], { error: 'must be "consul"' }).exactOptional(),
  Action: z.enum(["allow", "deny"], { error: 'must be "allow" or "deny"' }),
  Description: text.max(512, "is longer than 512 characters").exactOptional(),
} as const;

const intention = apiObject(intentionFields, { ignored: intentionReadOnly, unsupported: intentionUnsupported });

/** The destination's entry as stored. */
export function intentionsEntry(store: Store, destination: string): ServiceIntentionsEntry | undefined {
  const entry = store.get("config-entry", `service-intentions/${destination}`)?.value;
  return entry?.Kind === "service-intentions" ? entry : undefined;
}

/** All intentions, those that win first. */
export function allIntentions(store: Store): readonly Intention[] {
  return intentionsOf(store.list("config-entry", "service-intentions/"));
}

/** Writes a destination's entry, or deletes it when nothing is left of it. */
export function entryChange(store: Store, destination: string, entry: ServiceIntentionsEntry | undefined): Change {
  const key = `service-intentions/${destination}`;
  return entry ? setCurrent(store, "config-entry", key, entry) : deleteCurrent(store, "config-entry", key);
}

export function demandIntentionWrite(authorizer: Authorizer, destination: string): void {
  demand(authorizer, authorizer.intentionWrite(destination), "intention:write", destination);
}

export function demandIntentionRead(authorizer: Authorizer, name: string): void {
  demand(authorizer, authorizer.intentionRead(name), "intention:read", name);
}

/** May the caller see it? As in Consul, from either side. */
export function canReadIntention(authorizer: Authorizer, one: Intention): boolean {
  return authorizer.intentionRead(one.DestinationName) || authorizer.intentionRead(one.SourceName);
}

export function intentionRoutes(deps: ApiDependencies): readonly Route[] {
  const { store } = deps;
  const source = storeSource(store, [{ kind: "config-entry", prefix: "service-intentions/" }]);

  const list = (call: Call): Promise<Reply> =>
    blockingRead(call, source, (authorizer) =>
      json(allIntentions(store).filter((one) => canReadIntention(authorizer, one))),
    );

  const getExact = (call: Call): Promise<Reply> => {
    const pair = pairOf(call);
    return blockingRead(call, source, (authorizer) => {
      const found = allIntentions(store).find(
        (one) => one.SourceName === pair.source && one.DestinationName === pair.destination,
      );
      if (!found) {
        demandIntentionRead(authorizer, pair.destination);
        throw new MeshError("not_found", "Intention not found");
      }
      if (!canReadIntention(authorizer, found)) demandIntentionRead(authorizer, pair.destination);
      return json(found);
    });
  };

  const putExact = async (call: Call): Promise<Reply> => {
    const pair = pairOf(call);
    const authorizer = call.authorizer();
    const body = parseAs(intention, await call.json());
    if (
      (body.SourceName ?? pair.source) !== pair.source ||
      (body.DestinationName ?? pair.destination) !== pair.destination
    ) {
      throw new MeshError("invalid", "SourceName and DestinationName must be those of the query, or absent");
    }
    demandIntentionWrite(authorizer, pair.destination);
    const commit = await transact(store, () => {
      const entry = intentionsEntry(store, pair.destination);
      const id = entry?.Sources.find((one) => one.Name === pair.source)?.LegacyID;
      const next = withSource(entry, pair.destination, {
        Name: pair.source,
        Action: body.Action,
        ...(body.Description ? { Description: body.Description } : {}),
        ...(id ? { LegacyID: id } : {}),
      });
      return [entryChange(store, pair.destination, next)];
    });
    return json(true, commit.index);
  };

  const deleteExact = async (call: Call): Promise<Reply> => {
    const pair = pairOf(call);
    demandIntentionWrite(call.authorizer(), pair.destination);
    const commit = await transact(store, () => {
      const entry = intentionsEntry(store, pair.destination);
      return entry ? [entryChange(store, pair.destination, withoutSource(entry, pair.source))] : [];
    });
    return json(true, commit.index);
  };

  const check = (call: Call): Reply => {
    const authorizer = call.authorizer();
    const pair = pairOf(call);
    demandIntentionRead(authorizer, pair.destination);
    const decided = decidingIntention(allIntentions(store), pair.source, pair.destination);
    return json({ Allowed: (decided?.Action ?? defaultAction(deps)) === "allow" });
  };

  const match = (call: Call): Promise<Reply> => {
    const by = call.query.get("by");
    if (by !== "source" && by !== "destination")
      throw new MeshError("invalid", 'query parameter "by": must be source or destination');
    const names = call.query.getAll("name").map((name) => parseName(name, "name"));
    if (names.length === 0)
      throw new MeshError("invalid", 'query parameter "name" is missing: name at least one service');
    return blockingRead(call, source, (authorizer) => {
      for (const name of names) demandIntentionRead(authorizer, name);
      const all = allIntentions(store);
      return json(Object.fromEntries(names.map((name) => [name, matchingIntentions(all, by, name)])));
    });
  };

  return [
    { method: "GET", path: "/v1/connect/intentions", handle: list },
    { method: "GET", path: "/v1/connect/intentions/exact", handle: getExact },
    { method: "PUT", path: "/v1/connect/intentions/exact", toPrimary: always, handle: putExact },
    { method: "DELETE", path: "/v1/connect/intentions/exact", toPrimary: always, handle: deleteExact },
    { method: "GET", path: "/v1/connect/intentions/check", handle: check },
    { method: "GET", path: "/v1/connect/intentions/match", handle: match },
  ];
}

/** What holds where no intention does. */
export function defaultAction(deps: Pick<ApiDependencies, "acl">): "allow" | "deny" {
  return deps.acl.enabled ? deps.acl.defaultPolicy : "allow";
}

function pairOf(call: Call): { readonly source: string; readonly destination: string } {
  const type = call.query.get("source-type");
  if (type !== null && type !== "" && type !== "consul")
    throw new MeshError("invalid", 'query parameter "source-type": must be consul');
  return { source: nameFrom(call, "source"), destination: nameFrom(call, "destination") };
}

function nameFrom(call: Call, parameter: string): string {
  const value = call.query.get(parameter);
  if (!value) throw new MeshError("invalid", `query parameter "${parameter}" is missing: name a service or *`);
  return parseName(value, parameter);
}

/** `web`, `default/web` or `default/default/web`. */
function parseName(value: string, parameter: string): string {
  const parts = value.split("/");
  const name = parts.pop() ?? "";
  if (parts.length > 2 || parts.some((part) => part !== "default") || !serviceNameOrAny.safeParse(name).success) {
    throw new MeshError(
      "invalid",
      `query parameter "${parameter}": ${JSON.stringify(value.slice(0, 120))} is neither a service's name nor *`,
    );
  }
  return name;
}
