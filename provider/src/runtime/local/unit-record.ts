/** What the local runtime remembers of a unit and its processes, as files in the unit's folder. */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Owner, UnitId } from "../runtime.ts";
import { datacenterFolder, isMissing, runtimeFolder } from "./folders.ts";

/** A unit as it was made. */
export interface UnitRecord {
  readonly id: UnitId;
  readonly owner: Owner;
  /** Loopback address, `127.<datacenter>.x.y`. */
  readonly address: string;
  readonly wan: boolean;
}

/** The supervisor of a process, as it was started. */
export interface ProcessRecord {
  readonly name: string;
  readonly pid: number;
  readonly startTime: string;
  readonly digest: string;
}

/** What a supervisor writes about the process that it started. */
export interface SupervisorStatus {
  readonly pid: number;
  readonly restarts: number;
  /** Of the last run that ended. */
  readonly exitCode: number | undefined;
}

const unitFile = "unit.json";

/** Makes the unit's folder, 0700, and writes or replaces its record. */
export function writeUnitRecord(root: string, record: UnitRecord): void {
  mkdirSync(runtimeFolder(root, record.id), { recursive: true, mode: 0o700 });
  writeWhole(join(runtimeFolder(root, record.id), unitFile), record);
}

/** Undefined when there is no such unit. */
export function readUnitRecord(root: string, id: UnitId): UnitRecord | undefined {
  return readJson<UnitRecord>(join(runtimeFolder(root, id), unitFile));
}

/** The units of a datacenter that have a record. */
export function readUnitRecords(root: string, mesh: string, datacenter: string): readonly UnitRecord[] {
  const folder = datacenterFolder(root, mesh, datacenter);
  return subfolders(folder).flatMap((unit) => readJson<UnitRecord>(join(folder, unit, ".runtime", unitFile)) ?? []);
}

/** Names in a folder, none when it does not exist. */
export function subfolders(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (isMissing(error) || (error instanceof Error && "code" in error && error.code === "ENOTDIR")) return [];
    throw error;
  }
}

/** Writes or replaces the record of a process. */
export function writeProcessRecord(root: string, id: UnitId, record: ProcessRecord): void {
  writeWhole(join(runtimeFolder(root, id), `${record.name}.process.json`), record);
}

/** The processes that were started in a unit and not removed, sorted by name. */
export function readProcessRecords(root: string, id: UnitId): readonly ProcessRecord[] {
  const folder = runtimeFolder(root, id);
  return subfolders(folder)
    .filter((name) => name.endsWith(".process.json"))
    .flatMap((name) => readJson<ProcessRecord>(join(folder, name)) ?? []);
}

/** Undefined until the supervisor has started the process. */
export function readStatus(root: string, id: UnitId, process: string): SupervisorStatus | undefined {
  try {
    const text = readFileSync(join(runtimeFolder(root, id), `${process}.status`), "utf8");
    const [pid, restarts, exitCode] = text.trim().split(" ");
    if (!pid || restarts === undefined) return undefined;
    return { pid: Number(pid), restarts: Number(restarts), exitCode: exitCode ? Number(exitCode) : undefined };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function writeWhole(path: string, value: unknown): void {
  const next = `${path}.${process.pid}`;
  writeFileSync(next, JSON.stringify(value), { mode: 0o600 });
  renameSync(next, path);
}

/** Every file of this kind is written whole by {@link writeWhole}, so its shape is what was written. */
function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (error) {
    if (isMissing(error) || (error instanceof Error && "code" in error && error.code === "ENOTDIR")) return undefined;
    throw error;
  }
}
