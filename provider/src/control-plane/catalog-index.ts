/**
 * The catalog as proxies' snapshots read it: services by name, sidecars by destination, gateways, health. Kept up to
 * date commit by commit; each commit yields the topics it touched, so that only the proxies that read them are computed
 * anew.
 */
import { worstStatus } from "../model/health.ts";
import type { CheckRecord, CheckStatus, ServiceRecord } from "../model/records.ts";
import type { Commit, Store, Stored } from "../store/store.ts";

/** What a snapshot depends on: `proxy:web-sidecar-proxy`, `sidecars:web`, `imported:dc1/socat`, `config:proxy-defaults/global`, … */
export type Topic = string;

export interface CatalogIndex {
  /** A registered sidecar or gateway by its service id. */
  proxy(id: string): ServiceRecord | undefined;
  /** Every sidecar and gateway of this datacenter. */
  proxies(): readonly ServiceRecord[];
  /** Sidecars of a service in this datacenter, sorted by id. */
  sidecarsOf(service: string): readonly ServiceRecord[];
  /** Names of the services that have sidecars here, sorted. */
  meshServices(): readonly string[];
  /** Mesh gateways of this datacenter, sorted by id. */
  gateways(): readonly ServiceRecord[];
  /** Checks that an instance's sidecar runs: its own and its service's. */
  checksOf(instance: ServiceRecord): readonly CheckRecord[];
  /** Worst of the instance's own checks, those of the service it stands for and those of its node. */
  status(instance: ServiceRecord): CheckStatus;
  /** Takes in a commit; returns the topics that it touched. */
  apply(commit: Commit): ReadonlySet<Topic>;
}

/** Reads the whole store once. Only the control plane's own node has proxies that it configures. */
export function createCatalogIndex(store: Store, node: string): CatalogIndex {
  const services = new Map<string, ServiceRecord>();
  const idsByName = new Map<string, Set<string>>();
  const checks = new Map<string, Map<string, CheckRecord>>();

  const sorted = (name: string): ServiceRecord[] =>
    [...(idsByName.get(name) ?? [])].sort().map((id) => services.get(id)!);

  const groupsOf = (service: ServiceRecord): string[] => {
    if (service.Kind === "mesh-gateway") return ["gateways"];
    if (service.Kind === "connect-proxy") return [`sidecars:${service.Proxy?.DestinationServiceName ?? ""}`];
    return [];
  };

  const removeService = (id: string): ServiceRecord | undefined => {
    const service = services.get(id);
    if (!service) return undefined;
    services.delete(id);
    for (const group of groupsOf(service)) {
      const ids = idsByName.get(group);
      ids?.delete(id);
      if (ids?.size === 0) idsByName.delete(group);
    }
    return service;
  };

  const addService = (service: ServiceRecord): void => {
    if (service.Kind === "" || service.Node !== node) return;
    services.set(service.ID, service);
    for (const group of groupsOf(service)) {
      const ids = idsByName.get(group) ?? new Set();
      idsByName.set(group, ids.add(service.ID));
    }
  };

  const touchService = (service: ServiceRecord, topics: Set<Topic>): void => {
    topics.add(`proxy:${service.ID}`);
    for (const group of groupsOf(service)) topics.add(group);
    if (service.Kind === "connect-proxy") topics.add("mesh-services");
  };

  /** A check of a service matters to its sidecars as well. */
  const touchCheck = (check: CheckRecord, topics: Set<Topic>): void => {
    for (const service of services.values()) {
      if (service.Node !== check.Node) continue;
      if (check.ServiceID !== "" && service.ID !== check.ServiceID && standsFor(service) !== check.ServiceID) continue;
      topics.add(`proxy:${service.ID}`);
      for (const group of groupsOf(service)) topics.add(group);
    }
  };

  /** Of a check: its service's, or its node's. */
  const groupKey = (node: string, serviceId: string): string => `${node}/${serviceId}`;
  const groupOf = (check: CheckRecord): string => groupKey(check.Node, check.ServiceID);
  const addCheck = (check: CheckRecord): void => {
    const group = checks.get(groupOf(check)) ?? new Map();
    checks.set(groupOf(check), group.set(check.CheckID, check));
  };
  const removeCheck = (check: CheckRecord): void => {
    const group = checks.get(groupOf(check));
    group?.delete(check.CheckID);
    if (group?.size === 0) checks.delete(groupOf(check));
  };

  const other = (record: Stored, topics: Set<Topic>): void => {
    switch (record.kind) {
      case "config-entry":
        topics.add(`config:${record.key}`);
        return;
      case "ca-root":
        topics.add("roots");
        return;
      case "leaf":
        topics.add(`leaf:${record.key}`);
        return;
      case "imported-service": {
        const imported = record.value as Stored<"imported-service">["value"];
        topics.add(`imported:${record.key}`);
        if (imported.Kind === "mesh-gateway") topics.add(`gateways:${imported.Datacenter}`);
        return;
      }
      case "datacenter":
        topics.add("datacenters");
        return;
      default:
        return;
    }
  };

  for (const record of store.list("service")) addService(record.value);
  for (const record of store.list("check")) addCheck(record.value);

  const ownChecks = (instance: ServiceRecord): CheckRecord[] => {
    const stood = standsFor(instance);
    const ids = stood ? [instance.ID, stood] : [instance.ID];
    return ids.flatMap((id) => [...(checks.get(groupKey(instance.Node, id))?.values() ?? [])]);
  };

  return {
    proxy: (id) => services.get(id),
    proxies: () => [...services.values()],
    sidecarsOf: (service) => sorted(`sidecars:${service}`),
    meshServices: () =>
      [...idsByName.keys()]
        .filter((group) => group.startsWith("sidecars:"))
        .map((group) => group.slice("sidecars:".length))
        .sort(),
    gateways: () => sorted("gateways"),
    checksOf: (instance) => ownChecks(instance).sort((a, b) => (a.CheckID < b.CheckID ? -1 : 1)),
    status: (instance) =>
      worstStatus([...ownChecks(instance), ...(checks.get(groupKey(instance.Node, ""))?.values() ?? [])]),
    apply: (commit) => {
      const topics = new Set<Topic>();
      for (const record of commit.deleted) {
        if (record.kind === "service" && (record.value as ServiceRecord).Node === node) {
          const removed = removeService((record.value as ServiceRecord).ID);
          if (removed) touchService(removed, topics);
        } else if (record.kind === "check") {
          removeCheck(record.value as CheckRecord);
          touchCheck(record.value as CheckRecord, topics);
        } else other(record, topics);
      }
      for (const record of commit.set) {
        if (record.kind === "service" && (record.value as ServiceRecord).Node === node) {
          const before = removeService((record.value as ServiceRecord).ID);
          if (before) touchService(before, topics);
          addService(record.value as ServiceRecord);
          if ((record.value as ServiceRecord).Kind !== "") touchService(record.value as ServiceRecord, topics);
        } else if (record.kind === "check") {
          addCheck(record.value as CheckRecord);
          touchCheck(record.value as CheckRecord, topics);
        } else other(record, topics);
      }
      return topics;
    },
  };
}

/** Id of the service instance that a sidecar stands before. */
function standsFor(proxy: ServiceRecord): string | undefined {
  return proxy.Proxy?.DestinationServiceID || proxy.SidecarOf;
}
