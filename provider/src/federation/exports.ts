/**
 * What a datacenter lets the others know of itself: services that have sidecars, with the sidecars, and mesh gateways,
 * each instance with its health. Pure.
 */
import { worstStatus } from "../model/health.ts";
import type { CheckRecord, ImportedServiceRecord, NodeRecord, ServiceRecord } from "../model/records.ts";

/** The records that exports are made of. */
export interface Catalog {
  readonly nodes: readonly NodeRecord[];
  readonly services: readonly ServiceRecord[];
  readonly checks: readonly CheckRecord[];
}

/**
 * One record a name: for a service its sidecars (Kind `connect-proxy`, under the service's name), for a gateway its
 * instances (Kind `mesh-gateway`). A name that is both is the gateway's. Sorted by name, instances by node and id.
 */
export function exportsOf(catalog: Catalog, datacenter: string): readonly ImportedServiceRecord[] {
  const addresses = new Map(catalog.nodes.map(({ Node, Address }) => [Node, Address]));
  const checks = Map.groupBy(catalog.checks, ({ Node, ServiceID }) => `${Node}/${ServiceID}`);
  const named = catalog.services.flatMap((service) => {
    const name = service.Kind === "connect-proxy" ? service.Proxy?.DestinationServiceName : service.Service;
    return service.Kind === "" || name === undefined || name === "" ? [] : [{ name, service }];
  });

  const instanceOf = (service: ServiceRecord): ImportedServiceRecord["Instances"][number] => {
    const proxied = service.Proxy?.DestinationServiceID ?? service.SidecarOf;
    const concerned = ["", service.ID, ...(proxied === undefined || proxied === "" ? [] : [proxied])];
    return {
      Service: published(service, addresses.get(service.Node) ?? ""),
      Status: worstStatus(concerned.flatMap((id) => checks.get(`${service.Node}/${id}`) ?? [])),
    };
  };

  return [...Map.groupBy(named, ({ name }) => name)]
    .map(([name, members]): ImportedServiceRecord => {
      const gateways = members.filter(({ service }) => service.Kind === "mesh-gateway");
      const chosen = (gateways.length > 0 ? gateways : members).map(({ service }) => service);
      chosen.sort((a, b) => compare(a.Node, b.Node) || compare(a.ID, b.ID));
      const kind = gateways.length > 0 ? "mesh-gateway" : "connect-proxy";
      return { Datacenter: datacenter, Service: name, Kind: kind, Instances: chosen.map(instanceOf) };
    })
    .sort((a, b) => compare(a.Service, b.Service));
}

/** The instance without what is its own datacenter's business, and with its node's address where it has none. */
function published(service: ServiceRecord, nodeAddress: string): ServiceRecord {
  const { TokenAccessor: _, SidecarOf: __, Proxy: proxy, ...rest } = service;
  const { DestinationServiceName, DestinationServiceID } = proxy ?? {};
  const stripped = {
    ...(DestinationServiceName === undefined ? {} : { DestinationServiceName }),
    ...(DestinationServiceID === undefined ? {} : { DestinationServiceID }),
  };
  return {
    ...rest,
    Address: service.Address === "" ? nodeAddress : service.Address,
    ...(proxy ? { Proxy: stripped } : {}),
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
