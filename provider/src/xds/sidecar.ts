/** Plans a sidecar's resources: the public side (callers to application) and one way out for each upstream. */
import { spiffeId } from "../model/identity.ts";
import { serviceSni } from "../model/names.ts";
import type { SidecarSnapshot, UpstreamSnapshot } from "../model/proxy-snapshot.ts";
import { localApp, upstreamCluster } from "./clusters.ts";
import { assignment } from "./endpoints.ts";
import { intentions } from "./intentions-rbac.ts";
import { publicListener } from "./public-listener.ts";
import { type PlannedResource, planned } from "./resource.ts";
import {
  callersSecret,
  destinationSecret,
  intentionsExtension,
  leafSecret,
  localAppCluster,
} from "./resource-names.ts";
import { clusterType, endpointsType, extensionType, listenerType, secretType } from "./resource-types.ts";
import { type CallerInput, callers, destination, leaf } from "./secrets.ts";
import { upstreamListener } from "./upstream-listener.ts";

/** Every resource of a sidecar. Names are unique within a type. */
export function sidecarResources(snapshot: SidecarSnapshot): readonly PlannedResource[] {
  const destinations = new Set<string>();
  return [
    ...publicSide(snapshot),
    ...snapshot.upstreams.flatMap((upstream) => {
      const sni = serviceSni(upstream.service, upstream.datacenter, snapshot.trustDomain);
      const first = !destinations.has(sni);
      destinations.add(sni);
      return upstreamSide(snapshot, upstream, sni, first);
    }),
  ];
}

function publicSide(snapshot: SidecarSnapshot): readonly PlannedResource[] {
  const { address, port } = snapshot.publicListener;
  const { trustDomain, roots } = snapshot;
  const decisions: CallerInput = {
    named: snapshot.callers.named.map(({ service, allow }) => ({ service, allow })),
    others: snapshot.callers.others,
  };
  const app = { ...snapshot.localApp };
  const own = { chain: snapshot.leaf.chain, privateKey: snapshot.leaf.privateKey };
  return [
    planned(clusterType, localAppCluster, localApp, app),
    planned(listenerType, `public_listener:${address}:${port}`, publicListener, { address, port }),
    planned(extensionType, intentionsExtension, intentions, { trustDomain, callers: decisions }),
    planned(secretType, leafSecret, leaf, own),
    planned(secretType, callersSecret, callers, { roots, trustDomain, callers: decisions }),
  ];
}

/**
 * Several upstreams may lead to one destination, each with its own timeout and mode: the first has the cluster that is
 * named by the SNI, the others have clusters of their own.
 */
function upstreamSide(
  snapshot: SidecarSnapshot,
  upstream: UpstreamSnapshot,
  sni: string,
  first: boolean,
): readonly PlannedResource[] {
  const { service, datacenter, bindAddress: address, bindPort: port, connectTimeoutMs, denials } = upstream;
  const cluster = first ? sni : `${address}:${port}~${sni}`;
  const secret = destinationSecret(sni);
  const endpoints = upstream.endpoints.map((one) => ({ address: one.address, port: one.port, healthy: one.healthy }));
  const identity = spiffeId({ trustDomain: snapshot.trustDomain, datacenter, service });
  const resources = [
    planned(clusterType, cluster, upstreamCluster, { sni, secret, connectTimeoutMs }),
    planned(endpointsType, cluster, assignment, { endpoints }),
    planned(listenerType, `${service}:${address}:${port}`, upstreamListener, {
      service,
      datacenter,
      address,
      port,
      cluster,
      denials,
    }),
  ];
  if (!first) return resources;
  return [...resources, planned(secretType, secret, destination, { roots: snapshot.roots, spiffeId: identity })];
}
