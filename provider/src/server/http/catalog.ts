/** `/v1/catalog/*`, the reading half: nodes, services and their instances. */

import type { Instance } from "../../catalog/health.ts";
import { importedInstances, instanceKinds, instances } from "../../catalog/instances.ts";
import { catalogService, nodeJson, serviceJson } from "../../catalog/json.ts";
import type { Authorizer } from "../../model/authorizer.ts";
import { MeshError } from "../../model/errors.ts";
import type { ServiceRecord } from "../../model/records.ts";
import type { Store } from "../../store/store.ts";
import type { Watched } from "../../store/watch.ts";
import { blockingRead, storeSource } from "./blocking.ts";
import { type Call, json, param, type Reply, type Route } from "./call.ts";
import type { ApiDependencies } from "./dependencies.ts";

/** Instances of the datacenter that the call asks for, of those that the caller may see. */
export function visibleInstances(
  store: Store,
  call: Call,
  authorizer: Authorizer,
  filter: (service: ServiceRecord) => boolean,
): readonly Instance[] {
  const found =
    call.datacenter === undefined ? instances(store, filter) : importedInstances(store, call.datacenter, filter);
  return found.filter(
    (one) => authorizer.nodeRead(one.service.value.Node) && authorizer.serviceRead(one.service.value.Service),
  );
}

/** What {@link visibleInstances} reads for this call. */
export function instancesRead(call: Call): readonly Watched[] {
  if (call.datacenter !== undefined) return [{ kind: "imported-service", prefix: `${call.datacenter}/` }];
  return instanceKinds.map((kind) => ({ kind }));
}

/** Is the service a sidecar before one of that name? */
export function standsBefore(name: string): (service: ServiceRecord) => boolean {
  return (service) => service.Kind === "connect-proxy" && service.Proxy?.DestinationServiceName === name;
}

/** `?tag=` (several: all of them) and `?node-meta=key:value`. @throws {MeshError} `invalid` */
export function queryFilter(call: Call): (instance: Instance) => boolean {
  const tags = call.query.getAll("tag");
  const meta = call.query.getAll("node-meta").map((pair) => {
    const at = pair.indexOf(":");
    if (at < 1) throw new MeshError("invalid", `node-meta ${JSON.stringify(pair)}: write key:value`);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
  return (instance) =>
    tags.every((tag) => instance.service.value.Tags.includes(tag)) &&
    meta.every(([key, value]) => instance.node.value.Meta?.[key] === value);
}

export function catalogRoutes(deps: ApiDependencies): readonly Route[] {
  const { store } = deps;

  const datacenters = (): Reply => {
    const others = store.list("datacenter").map((record) => record.value.Name);
    return json([deps.datacenter, ...others.filter((name) => name !== deps.datacenter)]);
  };

  const nodes = (call: Call): Promise<Reply> =>
    blockingRead(call, storeSource(store, [{ kind: "node" }]), (authorizer) =>
      json(
        store
          .list("node")
          .filter((node) => authorizer.nodeRead(node.value.Node))
          .map(nodeJson),
      ),
    );

  const services = (call: Call): Promise<Reply> =>
    blockingRead(call, storeSource(store, instancesRead(call)), (authorizer) => {
      const tags = new Map<string, Set<string>>();
      for (const { service } of visibleInstances(store, call, authorizer, () => true).filter(queryFilter(call))) {
        const known = tags.get(service.value.Service) ?? new Set();
        for (const tag of service.value.Tags) known.add(tag);
        tags.set(service.value.Service, known);
      }
      return json(
        Object.fromEntries(
          [...tags].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, set]) => [name, [...set].sort()]),
        ),
      );
    });

  const byName = (call: Call, filter: (service: ServiceRecord) => boolean): Promise<Reply> =>
    blockingRead(call, storeSource(store, instancesRead(call)), (authorizer) => {
      if (!authorizer.serviceRead(param(call, "name"))) return json([]);
      return json(visibleInstances(store, call, authorizer, filter).filter(queryFilter(call)).map(catalogService));
    });
  const service = (call: Call): Promise<Reply> => byName(call, (one) => one.Service === param(call, "name"));
  const connect = (call: Call): Promise<Reply> => byName(call, standsBefore(param(call, "name")));

  const onNode = (call: Call, shape: "map" | "list"): Promise<Reply> => {
    const name = param(call, "node");
    const source = storeSource(store, [{ kind: "node" }, { kind: "service", prefix: `${name}/` }]);
    return blockingRead(call, source, (authorizer) => {
      const node = store.get("node", name);
      if (!node || !authorizer.nodeRead(name)) return json(null);
      const shown = store.list("service", `${name}/`).filter((one) => authorizer.serviceRead(one.value.Service));
      const Services =
        shape === "list"
          ? shown.map(serviceJson)
          : Object.fromEntries(shown.map((one) => [one.value.ID, serviceJson(one)]));
      return json({ Node: nodeJson(node), Services });
    });
  };

  return [
    { method: "GET", path: "/v1/catalog/datacenters", handle: datacenters },
    { method: "GET", path: "/v1/catalog/nodes", handle: nodes },
    { method: "GET", path: "/v1/catalog/services", anyDatacenter: true, handle: services },
    { method: "GET", path: "/v1/catalog/service/:name", anyDatacenter: true, handle: service },
    { method: "GET", path: "/v1/catalog/connect/:name", anyDatacenter: true, handle: connect },
    { method: "GET", path: "/v1/catalog/node/:node", handle: (call) => onNode(call, "map") },
    { method: "GET", path: "/v1/catalog/node-services/:node", handle: (call) => onNode(call, "list") },
  ];
}
