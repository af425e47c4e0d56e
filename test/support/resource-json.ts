/** Resources as canonical proto JSON, and as a bootstrap that needs no control plane. */
import { createRegistry, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { TlsInspectorSchema } from "../../provider/src/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.ts";
import { RBACSchema } from "../../provider/src/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts";
import { TcpProxySchema } from "../../provider/src/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../provider/src/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import type { BootstrapInput } from "../../provider/src/model/proxy-snapshot.ts";
import { bootstrap } from "../../provider/src/xds/bootstrap.ts";
import type { XdsResource } from "../../provider/src/xds/resource-set.ts";
import { resourceTypes } from "../../provider/src/xds/resource-types.ts";

const registry = createRegistry(
  ...resourceTypes.map((type) => type.schema),
  DownstreamTlsContextSchema,
  RBACSchema,
  TcpProxySchema,
  TlsInspectorSchema,
  UpstreamTlsContextSchema,
);

/** The words by which golden files name the types. */
export const kinds = {
  clusters: "Cluster",
  endpoints: "ClusterLoadAssignment",
  listeners: "Listener",
  extensions: "TypedExtensionConfig",
  secrets: "Secret",
} as const;

/** Resources of one kind as JSON, every Any expanded. */
export function resourceJson(resources: readonly XdsResource[], kind: keyof typeof kinds): JsonObject[] {
  return resources
    .filter((resource) => resource.typeUrl.endsWith(`.${kinds[kind]}`))
    .map((resource) => {
      const type = resourceTypes.find((one) => one.typeUrl === resource.typeUrl);
      if (!type) throw new Error(`no schema for ${resource.typeUrl}`);
      return toJson(type.schema, resource.message, { registry }) as JsonObject;
    });
}

/** Only what does not depend on the input is taken of it. */
const anyBootstrap: BootstrapInput = {
  proxyId: "test",
  service: "test",
  kind: "connect-proxy",
  datacenter: "",
  controlPlane: { address: "127.0.0.1", port: 1, serverName: "" },
  controlRoot: "",
  identityFile: "/",
  adminSocket: "/",
};

/** How what the stream would bring gets into a bootstrap: inside it, or from files `<secret or extension>.json` in a folder. */
export type Delivery = { readonly kind: "inline" } | { readonly kind: "files"; readonly folder: string };

/** A bootstrap with all the resources as static ones; endpoints are always inside their clusters. */
export function staticBootstrap(resources: readonly XdsResource[], delivery: Delivery, admin?: JsonObject): JsonObject {
  const named = (kind: keyof typeof kinds, key: string) =>
    new Map(resourceJson(resources, kind).map((json) => [String(json[key]), json]));
  const assignments = named("endpoints", "clusterName");
  const extensions = named("extensions", "name");
  const fromFile = (name: string): JsonObject => ({
    pathConfigSource: {
      path: `${(delivery as { folder: string }).folder}/${name}.json`,
      watchedDirectory: { path: (delivery as { folder: string }).folder },
    },
    resourceApiVersion: "V3",
  });
  const rewrite = (value: JsonValue): JsonValue => {
    if (Array.isArray(value)) return value.map(rewrite);
    if (value === null || typeof value !== "object") return value;
    const { sdsConfig, edsClusterConfig, configDiscovery, type, ...rest } = value;
    const object: JsonObject = Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, rewrite(inner)]));
    if (type !== undefined) object["type"] = edsClusterConfig ? "STATIC" : rewrite(type);
    if (edsClusterConfig) object["loadAssignment"] = assignments.get(String(value["name"])) ?? null;
    if (sdsConfig && delivery.kind === "files") object["sdsConfig"] = fromFile(String(value["name"]));
    if (configDiscovery && delivery.kind === "files") {
      object["configDiscovery"] = { ...(configDiscovery as JsonObject), configSource: fromFile(String(value["name"])) };
    } else if (configDiscovery) {
      object["typedConfig"] = extensions.get(String(value["name"]))?.["typedConfig"] ?? null;
    }
    return object;
  };
  const { node, layered_runtime, stats_config } = bootstrap(anyBootstrap) as Readonly<Record<string, JsonValue>>;
  return {
    ...(admin ? { admin } : {}),
    node: node!,
    layered_runtime: layered_runtime!,
    stats_config: stats_config!,
    staticResources: {
      listeners: resourceJson(resources, "listeners").map(rewrite),
      clusters: resourceJson(resources, "clusters").map(rewrite),
      ...(delivery.kind === "inline" ? { secrets: resourceJson(resources, "secrets") } : {}),
    },
  };
}
