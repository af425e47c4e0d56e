/** The one error of the provider and the control plane; rims turn its code into a gRPC status, an HTTP status or a Pulumi failure. */

/** What kind of failure it is; callers branch on this and never on the text. */
export type MeshErrorCode =
  | "invalid"
  | "not_found"
  | "already_exists"
  | "conflict"
  | "unauthenticated"
  | "permission_denied"
  | "unavailable"
  | "internal";

/** A failure with a code. The message says what, which and what to do: `service "web": port 70000 is not in 1..65535`. */
export class MeshError extends Error {
  override readonly name: string = "MeshError";
  readonly code: MeshErrorCode;

  constructor(code: MeshErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** True for a MeshError of any copy of this package. */
export function isMeshError(error: unknown): error is MeshError {
  return error instanceof Error && error.name === "MeshError" && "code" in error;
}

/** Turns anything thrown into a MeshError; what is not one becomes `internal` with the original as cause. */
export function toMeshError(error: unknown): MeshError {
  if (isMeshError(error)) return error;
  return new MeshError("internal", error instanceof Error ? error.message : String(error), { cause: error });
}
