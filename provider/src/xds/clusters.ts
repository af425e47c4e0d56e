/** Clusters: the application beside a sidecar, its destinations, and where a gateway sends what it routes. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Cluster_DiscoveryType, type ClusterSchema } from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { isIpLiteral, socketAddress } from "./address.ts";
import { fromStream } from "./config-source.ts";
import { dialDestination } from "./tls-context.ts";

type ClusterInit = MessageInitShape<typeof ClusterSchema>;

/** Plain TCP to the application. No outlier detection: an application that comes back must be served at once. */
export function localApp(
  name: string,
  input: { readonly address: string; readonly port: number; readonly connectTimeoutMs: number },
): ClusterInit {
  const type = isIpLiteral(input.address) ? Cluster_DiscoveryType.STATIC : Cluster_DiscoveryType.STRICT_DNS;
  const endpoint = { address: socketAddress(input.address, input.port) };
  return {
    name,
    clusterDiscoveryType: { case: "type", value: type },
    connectTimeout: durationFromMs(input.connectTimeoutMs),
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: endpoint } }] }],
    },
  };
}

/** Mutual TLS to a destination, through whatever its endpoints are: its sidecars or gateways. */
export function upstreamCluster(
  name: string,
  input: { readonly sni: string; readonly secret: string; readonly connectTimeoutMs: number },
): ClusterInit {
  return { ...edsCluster(name, input.connectTimeoutMs), transportSocket: dialDestination(input.sni, input.secret) };
}

/** A cluster without TLS of its own: all that a gateway has. */
export function discovered(name: string, input: { readonly connectTimeoutMs: number }): ClusterInit {
  return edsCluster(name, input.connectTimeoutMs);
}

/**
 * Endpoints come by EDS. Health is what the catalog says: no panic routing to endpoints that are known to be down.
 * Passively, an endpoint is put aside for ten seconds after three failures, but never more than half of them, hence never
 * the only one.
 */
function edsCluster(name: string, connectTimeoutMs: number) {
  return {
    name,
    clusterDiscoveryType: { case: "type" as const, value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: fromStream },
    connectTimeout: durationFromMs(connectTimeoutMs),
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
    outlierDetection: { consecutive5xx: 3, baseEjectionTime: durationFromMs(10_000), maxEjectionPercent: 50 },
  } satisfies ClusterInit;
}
