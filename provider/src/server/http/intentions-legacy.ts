/** Consul's older way to write intentions: by id. They end up in the same service-intentions entries. */
import type { Intention } from "../../catalog/intentions.ts";
import { withoutSource, withSource } from "../../catalog/intentions.ts";
import { transact } from "../../catalog/transact.ts";
import { MeshError } from "../../model/errors.ts";
import type { IntentionSource } from "../../model/records.ts";
import { blockingRead, storeSource } from "./blocking.ts";
import { type Call, json, param, type Reply, type Route } from "./call.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { apiObject, serviceNameOrAny } from "./fields.ts";
import {
  allIntentions,
  canReadIntention,
  demandIntentionRead,
  demandIntentionWrite,
  entryChange,
  intentionFields,
  intentionReadOnly,
  intentionsEntry,
  intentionUnsupported,
} from "./intentions.ts";
import { parseAs } from "./json-body.ts";

const always = (): boolean => true;

const namedIntention = apiObject(
  { ...intentionFields, SourceName: serviceNameOrAny, DestinationName: serviceNameOrAny },
  { ignored: intentionReadOnly, unsupported: intentionUnsupported },
);

export function legacyIntentionRoutes(deps: ApiDependencies): readonly Route[] {
  const { store } = deps;
  const source = storeSource(store, [{ kind: "config-entry", prefix: "service-intentions/" }]);
  const find = (id: string): Intention => {
    const found = allIntentions(store).find((one) => one.ID !== "" && one.ID === id);
    if (!found) throw new MeshError("not_found", "Intention not found");
    return found;
  };

  const create = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const body = parseAs(namedIntention, await call.json());
    demandIntentionWrite(authorizer, body.DestinationName);
    const id = deps.uuid();
    const commit = await transact(store, () => {
      const entry = intentionsEntry(store, body.DestinationName);
      if (entry?.Sources.some((one) => one.Name === body.SourceName)) {
        throw new MeshError(
          "already_exists",
          `duplicate intention found: ${body.SourceName} => ${body.DestinationName} exists; change it with PUT /v1/connect/intentions/exact`,
        );
      }
      return [entryChange(store, body.DestinationName, withSource(entry, body.DestinationName, sourceOf(body, id)))];
    });
    return json({ ID: id }, commit.index);
  };

  const update = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const id = param(call, "id");
    const body = parseAs(namedIntention, await call.json());
    const commit = await transact(store, () => {
      const before = find(id);
      demandIntentionWrite(authorizer, before.DestinationName);
      if (before.DestinationName !== body.DestinationName) {
        throw new MeshError(
          "invalid",
          `DestinationName: cannot be changed from "${before.DestinationName}"; delete the intention and create another`,
        );
      }
      const entry = intentionsEntry(store, before.DestinationName);
      const others = entry && withoutSource(entry, before.SourceName);
      if (others?.Sources.some((one) => one.Name === body.SourceName)) {
        throw new MeshError(
          "already_exists",
          `duplicate intention found: ${body.SourceName} => ${body.DestinationName} exists`,
        );
      }
      return [
        entryChange(store, before.DestinationName, withSource(others, before.DestinationName, sourceOf(body, id))),
      ];
    });
    return json({ ID: id }, commit.index);
  };

  const get = (call: Call): Promise<Reply> =>
    blockingRead(call, source, (authorizer) => {
      const found = find(param(call, "id"));
      if (!canReadIntention(authorizer, found)) demandIntentionRead(authorizer, found.DestinationName);
      return json(found);
    });

  const remove = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const commit = await transact(store, () => {
      const found = find(param(call, "id"));
      demandIntentionWrite(authorizer, found.DestinationName);
      const entry = intentionsEntry(store, found.DestinationName);
      return entry ? [entryChange(store, found.DestinationName, withoutSource(entry, found.SourceName))] : [];
    });
    return json(true, commit.index);
  };

  return [
    { method: "POST", path: "/v1/connect/intentions", toPrimary: always, handle: create },
    { method: "GET", path: "/v1/connect/intentions/:id", handle: get },
    { method: "PUT", path: "/v1/connect/intentions/:id", toPrimary: always, handle: update },
    { method: "DELETE", path: "/v1/connect/intentions/:id", toPrimary: always, handle: remove },
  ];
}

function sourceOf(
  body: { readonly SourceName: string; readonly Action: "allow" | "deny"; readonly Description?: string },
  id: string,
): IntentionSource {
  return {
    Name: body.SourceName,
    Action: body.Action,
    LegacyID: id,
    ...(body.Description ? { Description: body.Description } : {}),
  };
}
