/** Plans a mesh gateway's resources: its listeners and a cluster for everything they lead to. It holds no secret. */
import { datacenterSni, serviceSni } from "../model/names.ts";
import type { Endpoint, MeshGatewaySnapshot } from "../model/proxy-snapshot.ts";
import { discovered } from "./clusters.ts";
import { assignment } from "./endpoints.ts";
import { gatewayListener } from "./gateway-listener.ts";
import { type PlannedResource, planned } from "./resource.ts";
import { clusterType, endpointsType, listenerType } from "./resource-types.ts";

/** Every resource of a gateway. Names are unique within a type. */
export function meshGatewayResources(snapshot: MeshGatewaySnapshot): readonly PlannedResource[] {
  const { connectTimeoutMs, trustDomain } = snapshot;
  const services = snapshot.services.map(({ service, endpoints }) => ({
    key: service,
    cluster: serviceSni(service, snapshot.datacenter, trustDomain),
    endpoints,
  }));
  const remotes = snapshot.remotes.map(({ datacenter, endpoints }) => ({
    key: datacenter,
    cluster: datacenterSni(datacenter, trustDomain),
    endpoints,
  }));
  const route = ({ key, cluster }: { key: string; cluster: string }) => ({ key, cluster });
  const routes = { services: services.map(route), remotes: remotes.map(route) };
  return [
    ...snapshot.listeners.map(({ name, address, port }) =>
      planned(listenerType, `${name}:${address}:${port}`, gatewayListener, { address, port, ...routes }),
    ),
    ...[...services, ...remotes].flatMap(({ cluster, endpoints }) => [
      planned(clusterType, cluster, discovered, { connectTimeoutMs }),
      planned(endpointsType, cluster, assignment, { endpoints: endpoints.map(plain) }),
    ]),
  ];
}

function plain({ address, port, healthy }: Endpoint): { address: string; port: number; healthy: boolean } {
  return { address, port, healthy };
}
