/** The filter that ends every chain: bytes from the connection to a cluster. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FilterSchema } from "../gen/envoy/config/listener/v3/listener_components_pb.ts";
import {
  TcpProxySchema,
  UpstreamConnectMode,
} from "../gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import { packed } from "./config-source.ts";

/** How many endpoints a connection tries before it is given up: one that is gone must not fail a caller while others live. */
const connectAttempts = 3;

/**
 * @param statPrefix tells the hop in `tcp.<statPrefix>.downstream_cx_total`
 * @param when `connected`: dials when the connection is there; `authenticated`: not before the caller's TLS handshake
 *   has succeeded, so that a refused caller causes no dial and a server that speaks first has nobody to speak to
 */
export function tcpProxy(
  statPrefix: string,
  cluster: string,
  when: "connected" | "authenticated",
): MessageInitShape<typeof FilterSchema> {
  const early =
    when === "authenticated"
      ? { upstreamConnectMode: UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE, maxEarlyDataBytes: 0 }
      : {};
  const typedConfig = packed(TcpProxySchema, {
    statPrefix,
    clusterSpecifier: { case: "cluster", value: cluster },
    maxConnectAttempts: connectAttempts,
    ...early,
  });
  return { name: "envoy.filters.network.tcp_proxy", configType: { case: "typedConfig", value: typedConfig } };
}
