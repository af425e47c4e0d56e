/** Errors as gRPC carries them to the engine; one that left something behind says what, so that it is recorded. */
import grpc from "@grpc/grpc-js";
import providerPb from "@pulumi/pulumi/proto/provider_pb.js";
import statusPb from "@pulumi/pulumi/proto/status_pb.js";
import anyPb from "google-protobuf/google/protobuf/any_pb.js";
import structPb from "google-protobuf/google/protobuf/struct_pb.js";
import { PartialFailure } from "../context.ts";
import { encode, type Path } from "./wire.ts";

/** An error as grpc-js takes it. */
export interface GrpcFailure {
  readonly code: grpc.status;
  readonly message: string;
  readonly metadata: grpc.Metadata;
}

/**
 * A {@link PartialFailure} becomes an init error: the engine keeps the resource with its reasons, and the next `up` updates
 * it whatever its diff says. Every other error fails the operation and leaves the state as it was.
 */
export function grpcFailure(error: unknown, secrets: readonly Path[]): GrpcFailure {
  const message = error instanceof Error ? error.message : String(error);
  const metadata = new grpc.Metadata();
  if (error instanceof PartialFailure) {
    const failed = new providerPb.ErrorResourceInitFailed();
    failed.setId(error.id);
    failed.setProperties(structPb.Struct.fromJavaScript(encode(error.properties, secrets) as StructObject));
    failed.setReasonsList([...error.reasons]);
    const detail = new anyPb.Any();
    detail.pack(failed.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const status = new statusPb.Status();
    status.setCode(grpc.status.UNKNOWN);
    status.setMessage(message);
    status.addDetails(detail);
    metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  }
  return { code: grpc.status.UNKNOWN, message, metadata };
}

/** Plain JSON, as the Struct of google-protobuf takes it. */
export type StructObject = Parameters<typeof structPb.Struct.fromJavaScript>[0];
