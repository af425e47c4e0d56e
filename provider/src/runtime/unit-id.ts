/** Identity of units: what a name may look like, how a unit is called in messages, and whose it is. Pure. */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { MeshError } from "../model/errors.ts";
import type { Owner, UnitId } from "./runtime.ts";

const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** @throws {MeshError} `invalid` when a part could not be a folder's, container's or label's name. */
export function checkUnitId(id: UnitId): void {
  for (const part of [id.mesh, id.datacenter, id.role, id.name]) checkName(part);
}

/** @throws {MeshError} `invalid` unless it is letters, digits, `_`, `.` and `-`, beginning with a letter or digit. */
export function checkName(name: string): void {
  if (namePattern.test(name)) return;
  throw new MeshError("invalid", `"${name}" cannot name a unit or process: use letters, digits, "_", "." and "-"`);
}

/** @throws {MeshError} `invalid` unless the path stays inside the unit's folder. */
export function checkFilePath(path: string): void {
  const inside = path !== "" && !posix.isAbsolute(path) && posix.normalize(path) === path && !path.startsWith("..");
  if (inside && path !== "." && !path.endsWith("/") && !path.includes("\0")) return;
  throw new MeshError("invalid", `"${path}" cannot name a unit's file: use a relative path without "." and ".."`);
}

/** For messages: `service "web" in dc1`. */
export function describeUnit(id: UnitId): string {
  return `${id.role} "${id.name}" in ${id.datacenter}`;
}

/** `<mesh>/<datacenter>/<role>/<name>`: the same text for the same unit and for no other. */
export function unitKey(id: UnitId): string {
  return `${id.mesh}/${id.datacenter}/${id.role}/${id.name}`;
}

/** The inverse of {@link unitKey}; undefined for anything else. */
export function parseUnitKey(key: string): UnitId | undefined {
  const [mesh, datacenter, role, name, ...rest] = key.split("/");
  if (!mesh || !datacenter || !name || rest.length > 0) return undefined;
  if (role !== "control-plane" && role !== "mesh-gateway" && role !== "service") return undefined;
  return { mesh, datacenter, role, name };
}

/** First sixteen hex digits of the key's SHA-256. */
export function unitHash(id: UnitId): string {
  return createHash("sha256").update(unitKey(id)).digest("hex").slice(0, 16);
}

/** @throws {MeshError} `already_exists` naming the owner unless all four of its parts are equal. */
export function checkOwner(id: UnitId, actual: Owner, wanted: Owner): void {
  const same =
    actual.project === wanted.project &&
    actual.stack === wanted.stack &&
    actual.resource === wanted.resource &&
    actual.mesh === wanted.mesh;
  if (same) return;
  throw new MeshError(
    "already_exists",
    `${describeUnit(id)} belongs to resource "${actual.resource}" of stack "${actual.stack}" in project "${actual.project}" (mesh ${actual.mesh}): remove it there or choose another name`,
  );
}
