/** Our reading and writing of delta discovery against the code that is generated from Envoy's definitions. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ClusterSchema } from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { isMeshError } from "../model/errors.ts";
import { CLUSTER } from "./type-urls.ts";
import { decodeDeltaRequest, encodeDeltaResponse } from "./wire.ts";

test("a request is read as generated code writes it", () => {
  const bytes = toBinary(
    DeltaDiscoveryRequestSchema,
    create(DeltaDiscoveryRequestSchema, {
      node: { id: "web-sidecar-proxy", cluster: "web", extensions: [{ name: "x", category: "y" }] },
      typeUrl: CLUSTER,
      resourceNamesSubscribe: ["a", "ü"],
      resourceNamesUnsubscribe: ["b"],
      initialResourceVersions: { a: "1", c: "" },
      responseNonce: "n-1",
      errorDetail: { code: 13, message: "bad" },
    }),
  );
  assert.deepEqual(decodeDeltaRequest(bytes), {
    nodeId: "web-sidecar-proxy",
    typeUrl: CLUSTER,
    subscribe: ["a", "ü"],
    unsubscribe: ["b"],
    initialVersions: new Map([
      ["a", "1"],
      ["c", ""],
    ]),
    nonce: "n-1",
    error: { code: 13, message: "bad" },
  });
});

test("a response is read by generated code as it was meant", () => {
  const cluster = create(ClusterSchema, { name: "a" });
  const bytes = toBinary(
    ResourceSchema,
    create(ResourceSchema, { name: "a", version: "v", resource: anyPack(ClusterSchema, cluster) }),
  );
  const response = { typeUrl: CLUSTER, nonce: "n-2", removed: ["b", "c"] };
  const encoded = encodeDeltaResponse({
    ...response,
    resources: [{ typeUrl: CLUSTER, name: "a", version: "v", bytes }],
  });
  const read = fromBinary(DeltaDiscoveryResponseSchema, encoded);
  assert.equal(read.systemVersionInfo, "v");
  assert.equal(read.typeUrl, CLUSTER);
  assert.equal(read.nonce, "n-2");
  assert.deepEqual(read.removedResources, ["b", "c"]);
  assert.deepEqual(toBinary(ResourceSchema, read.resources[0]!), bytes);
});

const hostile: readonly (readonly [string, Uint8Array])[] = [
  ["a length beyond the end", Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x07)],
  ["an endless varint", new Uint8Array(64).fill(0xff)],
  ["groups in groups", new Uint8Array(100_000).fill(0x4b)],
  ["a name of 3,000 characters", Uint8Array.of(0x1a, 0xb8, 0x17, ...new Uint8Array(3000).fill(0x61))],
];

for (const [what, bytes] of hostile) {
  test(`hostile bytes are refused: ${what}`, () => {
    assert.throws(
      () => decodeDeltaRequest(bytes),
      (error) => isMeshError(error) && error.code === "invalid",
    );
  });
}
