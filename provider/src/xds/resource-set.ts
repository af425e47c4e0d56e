/** From a proxy's snapshot to its resources, and on to the bytes that go on the wire; what did not change is not encoded anew. */
import { hash } from "node:crypto";
import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ResourceSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { MeshError } from "../model/errors.ts";
import type { EncodedResource, ProxySnapshot, ResourceSet } from "../model/proxy-snapshot.ts";
import { meshGatewayResources } from "./mesh-gateway.ts";
import type { PlannedResource } from "./resource.ts";
import { type ResourceType, resourceTypes } from "./resource-types.ts";
import { sidecarResources } from "./sidecar.ts";

/** A resource as a message. */
export interface XdsResource {
  readonly typeUrl: string;
  readonly name: string;
  readonly message: MessageShape<DescMessage>;
}

/** Every resource of a proxy, sorted by type and name. Pure: equal snapshots give equal resources. */
export function resourcesFromSnapshot(snapshot: ProxySnapshot): readonly XdsResource[] {
  return plan(snapshot).map(({ type, name, build }) => ({ typeUrl: type.typeUrl, name, message: build() }));
}

/**
 * A proxy's resources in encoded form; every type is a key, also one without resources.
 * @param previous a set made before by this function, for any snapshot: what it holds unchanged is taken from it as the
 *   same object
 */
export function resourceSet(snapshot: ProxySnapshot, previous?: ResourceSet): ResourceSet {
  const set = new Map(resourceTypes.map((type) => [type.typeUrl, new Map<string, EncodedResource>()]));
  for (const resource of plan(snapshot)) {
    const { type, name } = resource;
    set.get(type.typeUrl)?.set(name, encodedOrReused(resource, previous?.get(type.typeUrl)?.get(name)));
  }
  return set;
}

/** Encodes a message: the version is a hash of its bytes, so it is the same in every process. */
export function encode(type: ResourceType, name: string, message: MessageShape<DescMessage>): EncodedResource {
  const resource = anyPack(type.schema, message);
  const version = hash("sha256", resource.value, "hex").slice(0, 32);
  const bytes = toBinary(ResourceSchema, create(ResourceSchema, { name, version, resource }));
  return { typeUrl: type.typeUrl, name, version, bytes };
}

/** What a resource was made of. A recipe is pure and its input is plain data, so equal origins mean equal bytes. */
interface Origin {
  readonly recipe: unknown;
  readonly input: string;
}

const origins = new WeakMap<EncodedResource, Origin>();

function encodedOrReused(resource: PlannedResource, previous: EncodedResource | undefined): EncodedResource {
  const input = JSON.stringify(resource.input);
  const origin = previous && origins.get(previous);
  if (origin && origin.recipe === resource.recipe && origin.input === input) return previous;
  const made = encode(resource.type, resource.name, resource.build());
  // Bytes that came out the same keep their object too: a stream compares objects first.
  const kept = previous?.version === made.version ? previous : made;
  origins.set(kept, { recipe: resource.recipe, input });
  return kept;
}

function plan(snapshot: ProxySnapshot): readonly PlannedResource[] {
  const resources = snapshot.kind === "connect-proxy" ? sidecarResources(snapshot) : meshGatewayResources(snapshot);
  const rank = new Map(resourceTypes.map((type, index) => [type, index]));
  const sorted = [...resources].sort(
    (a, b) => rank.get(a.type)! - rank.get(b.type)! || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  for (const [index, { type, name }] of sorted.entries()) {
    if (sorted[index - 1]?.type === type && sorted[index - 1]?.name === name) {
      throw new MeshError(
        "internal",
        `proxy "${snapshot.proxyId}": two resources of ${type.schema.typeName} are named "${name}"; two of its listeners or upstreams share an address and port`,
      );
    }
  }
  return sorted;
}
