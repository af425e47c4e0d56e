/** Errors across gRPC: a MeshError's code as a gRPC status and back. */

import type { ServiceError, StatusObject } from "@grpc/grpc-js";
import { Metadata, status } from "@grpc/grpc-js";
import type { MeshErrorCode } from "../model/errors.ts";
import { MeshError, toMeshError } from "../model/errors.ts";

const statusOf: Readonly<Record<MeshErrorCode, status>> = {
  invalid: status.INVALID_ARGUMENT,
  not_found: status.NOT_FOUND,
  already_exists: status.ALREADY_EXISTS,
  conflict: status.FAILED_PRECONDITION,
  unauthenticated: status.UNAUTHENTICATED,
  permission_denied: status.PERMISSION_DENIED,
  unavailable: status.UNAVAILABLE,
  internal: status.INTERNAL,
};
const codeOf = new Map(Object.entries(statusOf).map(([code, number]) => [number, code as MeshErrorCode]));

/** What a server ends a call with. An internal error's text stays at home. */
export function statusFrom(error: unknown): StatusObject {
  const { code, message } = toMeshError(error);
  return { code: statusOf[code], details: code === "internal" ? "internal error" : message, metadata: new Metadata() };
}

/** What a client makes of a failed call; anything gRPC itself reports is `unavailable`. */
export function errorFrom(error: Pick<ServiceError, "code" | "details">): MeshError {
  return new MeshError(codeOf.get(error.code) ?? "unavailable", error.details, { cause: error });
}
