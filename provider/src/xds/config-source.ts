/** Two forms that most resources need: a message packed into an Any, and "ask the same stream for it". */
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ApiVersion, type ConfigSourceSchema } from "../gen/envoy/config/core/v3/config_source_pb.ts";

/** Makes a message and packs it. */
export function packed<T extends DescMessage>(schema: T, init: MessageInitShape<T>): Any {
  return anyPack(schema, create(schema, init));
}

/** The aggregated stream. */
export const fromStream: MessageInitShape<typeof ConfigSourceSchema> = {
  configSourceSpecifier: { case: "ads", value: {} },
  resourceApiVersion: ApiVersion.V3,
};
