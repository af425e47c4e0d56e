/** The few Envoy resources that the tests of the server need: a listener that passes TCP on to a cluster. */
import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Cluster_DiscoveryType, ClusterSchema } from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ApiVersion } from "../gen/envoy/config/core/v3/config_source_pb.ts";
import { ClusterLoadAssignmentSchema } from "../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.ts";
import { TcpProxySchema } from "../gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import { ResourceSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { HealthCheckSpecifierSchema } from "../gen/envoy/service/health/v3/hds_pb.ts";
import type { EncodedResource, ProxyCheck } from "../model/proxy-snapshot.ts";
import { versionOf } from "./control-plane.test.support.ts";
import type { SpecifierBuilder } from "./hds-stream.ts";

function encoded<T extends DescMessage>(schema: T, name: string, message: MessageShape<T>): EncodedResource {
  const resource = anyPack(schema, message);
  const version = versionOf(resource.value);
  const bytes = toBinary(ResourceSchema, create(ResourceSchema, { name, version, resource }));
  return { typeUrl: resource.typeUrl, name, version, bytes };
}

function socketAddress(port: number) {
  return {
    address: {
      case: "socketAddress" as const,
      value: { address: "127.0.0.1", portSpecifier: { case: "portValue" as const, value: port } },
    },
  };
}

/** A cluster whose endpoints come by EDS under its own name. */
export function cluster(name: string, connectTimeoutMs = 1000): EncodedResource {
  return encoded(
    ClusterSchema,
    name,
    create(ClusterSchema, {
      name,
      connectTimeout: durationFromMs(connectTimeoutMs),
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
      edsClusterConfig: {
        edsConfig: { configSourceSpecifier: { case: "ads", value: {} }, resourceApiVersion: ApiVersion.V3 },
      },
    }),
  );
}

/** Endpoints of a cluster: one port on loopback. */
export function endpoints(clusterName: string, port: number): EncodedResource {
  const endpoint = { address: socketAddress(port) };
  const lbEndpoints = [{ hostIdentifier: { case: "endpoint" as const, value: endpoint } }];
  return encoded(
    ClusterLoadAssignmentSchema,
    clusterName,
    create(ClusterLoadAssignmentSchema, { clusterName, endpoints: [{ lbEndpoints }] }),
  );
}

/** A listener on loopback that passes TCP to the cluster; with an empty name it is such as Envoy refuses. */
export function listener(name: string, port: number, clusterName: string): EncodedResource {
  const proxy = create(TcpProxySchema, {
    statPrefix: clusterName,
    clusterSpecifier: { case: "cluster", value: clusterName },
  });
  const filter = {
    name: "tcp_proxy",
    configType: { case: "typedConfig" as const, value: anyPack(TcpProxySchema, proxy) },
  };
  return encoded(
    ListenerSchema,
    name,
    create(ListenerSchema, { name, address: socketAddress(port), filterChains: [{ filters: [filter] }] }),
  );
}

/** A TCP check of a port on loopback, five times a second. */
export function tcpCheck(checkId: string, port: number): ProxyCheck {
  return { checkId, address: "127.0.0.1", port, intervalMs: 200, timeoutMs: 200 };
}

/** TCP checks only. */
export const specifier: SpecifierBuilder = (checks) => ({
  rejected: [],
  specifier: create(HealthCheckSpecifierSchema, {
    interval: durationFromMs(200),
    clusterHealthChecks: checks.map(({ checkId, port, intervalMs, timeoutMs }) => ({
      clusterName: checkId,
      localityEndpoints: [{ endpoints: [{ address: socketAddress(port) }] }],
      healthChecks: [
        {
          interval: durationFromMs(intervalMs),
          noTrafficInterval: durationFromMs(intervalMs),
          timeout: durationFromMs(timeoutMs),
          unhealthyThreshold: 1,
          healthyThreshold: 1,
          healthChecker: { case: "tcpHealthCheck" as const, value: {} },
        },
      ],
    })),
  }),
});
