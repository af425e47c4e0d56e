/** Where the local runtime keeps things: a state folder for units, and a short one per user for what must be found by everybody. */
import { chmodSync, lstatSync, mkdirSync, readlinkSync, rmdirSync, rmSync, symlinkSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { MeshError } from "../../model/errors.ts";
import type { UnitId } from "../runtime.ts";
import { unitHash } from "../unit-id.ts";

/** Bytes that sun_path holds besides its final zero (unix(7)). */
const maxSocketPathBytes = 107;
/** What a unit's folder leaves for the name of a socket in it. */
const socketNameBytes = 40;

/** The folder of all meshes: ISTHMUS_STATE_DIR, else the XDG state folder. */
export function stateRoot(env: NodeJS.ProcessEnv): string {
  return env["ISTHMUS_STATE_DIR"] || join(env["XDG_STATE_HOME"] || join(homedir(), ".local", "state"), "isthmus");
}

/** The folder of a datacenter's units. */
export function datacenterFolder(root: string, mesh: string, datacenter: string): string {
  return join(root, mesh, datacenter);
}

/** A unit's own folder. */
export function unitFolder(root: string, id: UnitId): string {
  return join(datacenterFolder(root, id.mesh, id.datacenter), `${id.role}-${id.name}`);
}

/** What the runtime itself keeps about a unit, inside the unit's folder. */
export function runtimeFolder(root: string, id: UnitId): string {
  return join(unitFolder(root, id), ".runtime");
}

/**
 * The user's folder under /tmp, made if absent. It is not XDG_RUNTIME_DIR, because that goes when the user logs out and
 * the processes stay.
 * @throws {MeshError} `permission_denied` when somebody else has taken its name.
 */
export function userFolder(): string {
  const uid = process.getuid?.() ?? 0;
  const path = `/tmp/isthmus-${uid}`;
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const stat = lstatSync(path);
  if (!stat.isDirectory() || stat.uid !== uid) {
    throw new MeshError("permission_denied", `${path} is not a folder of yours: have its owner remove it`);
  }
  chmodSync(path, 0o700);
  return path;
}

/**
 * The unit's folder as its processes see it: the folder itself, or a short link to it when a socket in it would have a
 * path that is too long.
 */
export function processDirectory(root: string, id: UnitId): string {
  const folder = unitFolder(root, id);
  if (Buffer.byteLength(folder) + 1 + socketNameBytes <= maxSocketPathBytes) return folder;
  const link = join(userFolder(), unitHash(id));
  try {
    if (readlinkSync(link) === folder) return link;
    rmSync(link);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  symlinkSync(folder, link);
  return link;
}

/** Removes the unit's folder, its short link, and every folder above it that is empty then, the state folder included. */
export function removeUnitFolder(root: string, id: UnitId): void {
  rmSync(unitFolder(root, id), { recursive: true, force: true });
  rmSync(join(userFolder(), unitHash(id)), { force: true });
  removeIfEmpty(datacenterFolder(root, id.mesh, id.datacenter));
  removeIfEmpty(join(root, id.mesh));
  removeIfEmpty(root);
}

/** Removes a folder; one that is absent or not empty is left as it is. */
export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Somebody still uses it, or it went already.
  }
}

/** True for the error of a file or folder that does not exist. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
