/** A sidecar's listener for one upstream: the application dials it as if the destination were local. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { TrafficDirection } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.ts";
import { socketAddress } from "./address.ts";
import { tcpProxy } from "./tcp-proxy.ts";

/**
 * @param input.denials names the filter chain: a new name makes Envoy end the chain's open connections after its drain
 *   time, which are this application's to this destination and nobody else's.
 */
export function upstreamListener(
  name: string,
  input: {
    readonly service: string;
    readonly datacenter: string;
    readonly address: string;
    readonly port: number;
    readonly cluster: string;
    readonly denials: number;
  },
): MessageInitShape<typeof ListenerSchema> {
  const statPrefix = `upstream.${input.service}.default.${input.datacenter}`;
  return {
    name,
    address: socketAddress(input.address, input.port),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ name: `denials-${input.denials}`, filters: [tcpProxy(statPrefix, input.cluster, "connected")] }],
  };
}
