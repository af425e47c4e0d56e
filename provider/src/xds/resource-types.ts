/** The resource types that a proxy gets, and the message behind each type URL. */
import type { DescMessage } from "@bufbuild/protobuf";
import { ClusterSchema } from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { TypedExtensionConfigSchema } from "../gen/envoy/config/core/v3/extension_pb.ts";
import { ClusterLoadAssignmentSchema } from "../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../gen/envoy/config/listener/v3/listener_pb.ts";
import { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";

/** A resource type: its message and its type URL. */
export interface ResourceType<T extends DescMessage = DescMessage> {
  readonly schema: T;
  readonly typeUrl: string;
}

function resourceType<T extends DescMessage>(schema: T): ResourceType<T> {
  return { schema, typeUrl: `type.googleapis.com/${schema.typeName}` };
}

export const clusterType: ResourceType<typeof ClusterSchema> = resourceType(ClusterSchema);
export const endpointsType: ResourceType<typeof ClusterLoadAssignmentSchema> =
  resourceType(ClusterLoadAssignmentSchema);
export const listenerType: ResourceType<typeof ListenerSchema> = resourceType(ListenerSchema);
export const extensionType: ResourceType<typeof TypedExtensionConfigSchema> = resourceType(TypedExtensionConfigSchema);
export const secretType: ResourceType<typeof SecretSchema> = resourceType(SecretSchema);

/** Every type, in the order of a resource set: what is referred to comes before what refers to it, secrets last. */
export const resourceTypes: readonly ResourceType[] = [
  clusterType,
  endpointsType,
  listenerType,
  extensionType,
  secretType,
];
