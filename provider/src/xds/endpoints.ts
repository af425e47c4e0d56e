/** Endpoints of a cluster, with the health that the catalog knows. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { HealthStatus } from "../gen/envoy/config/core/v3/health_check_pb.ts";
import type { ClusterLoadAssignmentSchema } from "../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { isIpLiteral, socketAddress } from "./address.ts";

/** An endpoint as plain data. */
export type EndpointInput = { readonly address: string; readonly port: number; readonly healthy: boolean };

/**
 * One that is down stays listed, as UNHEALTHY. One whose address is a host name is left out: Envoy would refuse the
 * whole assignment for it.
 */
export function assignment(
  clusterName: string,
  input: { readonly endpoints: readonly EndpointInput[] },
): MessageInitShape<typeof ClusterLoadAssignmentSchema> {
  const usable = input.endpoints.filter((one) => isIpLiteral(one.address));
  const lbEndpoints = usable.map((one) => ({
    healthStatus: one.healthy ? HealthStatus.HEALTHY : HealthStatus.UNHEALTHY,
    hostIdentifier: { case: "endpoint" as const, value: { address: socketAddress(one.address, one.port) } },
  }));
  return { clusterName, endpoints: lbEndpoints.length > 0 ? [{ lbEndpoints }] : [] };
}
