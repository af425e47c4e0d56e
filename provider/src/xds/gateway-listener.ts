/** A mesh gateway's listener: routes by SNI and never decrypts. What no chain names is closed; there is no catch-all. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FilterChainSchema } from "../gen/envoy/config/listener/v3/listener_components_pb.ts";
import type { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.ts";
import { TlsInspectorSchema } from "../gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.ts";
import { socketAddress } from "./address.ts";
import { packed } from "./config-source.ts";
import { tcpProxy } from "./tcp-proxy.ts";

/** Where an SNI leads: `key` is what the counters are named after. */
export type GatewayRoute = { readonly key: string; readonly cluster: string };

/**
 * @param input.services own services; the cluster's name is the SNI
 * @param input.remotes other datacenters; every SNI below the cluster's name leads there
 */
export function gatewayListener(
  name: string,
  input: {
    readonly address: string;
    readonly port: number;
    readonly services: readonly GatewayRoute[];
    readonly remotes: readonly GatewayRoute[];
  },
): MessageInitShape<typeof ListenerSchema> {
  const chains = [
    ...input.services.map((route) => chain(route, route.cluster, "mesh_gateway_local")),
    ...input.remotes.map((route) => chain(route, `*.${route.cluster}`, "mesh_gateway_remote")),
  ];
  const tlsInspector = packed(TlsInspectorSchema, {});
  return {
    name,
    address: socketAddress(input.address, input.port),
    listenerFilters: [
      { name: "envoy.filters.listener.tls_inspector", configType: { case: "typedConfig", value: tlsInspector } },
    ],
    filterChains: chains.length > 0 ? chains : [deadEnd],
  };
}

/** Envoy wants a chain. This one has a name that nothing resolves to and no filter, so it leads nowhere. */
const deadEnd: MessageInitShape<typeof FilterChainSchema> = {
  name: "dead_end",
  filterChainMatch: { serverNames: ["dead-end.invalid"], transportProtocol: "tls" },
};

function chain(
  route: GatewayRoute,
  serverName: string,
  hop: "mesh_gateway_local" | "mesh_gateway_remote",
): MessageInitShape<typeof FilterChainSchema> {
  return {
    name: serverName,
    filterChainMatch: { serverNames: [serverName], transportProtocol: "tls" },
    filters: [tcpProxy(`${hop}.${route.key}`, route.cluster, "connected")],
  };
}
