/** A sidecar's public listener: who is allowed is decided in the TLS handshake, then once more by RBAC. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { TrafficDirection } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { FilterSchema } from "../gen/envoy/config/listener/v3/listener_components_pb.ts";
import type { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.ts";
import { RBACSchema } from "../gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts";
import { socketAddress } from "./address.ts";
import { fromStream } from "./config-source.ts";
import { denyEveryone } from "./intentions-rbac.ts";
import { intentionsExtension, localAppCluster } from "./resource-names.ts";
import { tcpProxy } from "./tcp-proxy.ts";
import { acceptCallers } from "./tls-context.ts";

/** How long a caller may take for its handshake. */
const handshakeTimeoutMs = 10_000;

/**
 * Callers reach it by secrets and rules alone, so a change of intentions judges new connections and cuts no open one
 * (as in Consul); a new name of the filter chain would end every connection of the chain, allowed callers included.
 */
export function publicListener(
  name: string,
  input: { readonly address: string; readonly port: number },
): MessageInitShape<typeof ListenerSchema> {
  return {
    name,
    address: socketAddress(input.address, input.port),
    trafficDirection: TrafficDirection.INBOUND,
    filterChains: [
      {
        name: "callers",
        transportSocket: acceptCallers(),
        transportSocketConnectTimeout: durationFromMs(handshakeTimeoutMs),
        filters: [intentionsFilter, tcpProxy("public_listener", localAppCluster, "authenticated")],
      },
    ],
  };
}

/** Denies everybody until the rules arrive, and serves at once instead of holding up all of Envoy's start. */
const intentionsFilter: MessageInitShape<typeof FilterSchema> = {
  name: intentionsExtension,
  configType: {
    case: "configDiscovery",
    value: {
      configSource: fromStream,
      typeUrls: [`type.googleapis.com/${RBACSchema.typeName}`],
      defaultConfig: denyEveryone,
      applyDefaultConfigWithoutWarming: true,
    },
  },
};
