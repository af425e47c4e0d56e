/** Finds our processes by what the kernel says about them: pid, start time and a marker in the environment; never by name. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Owner, UnitId } from "../runtime.ts";
import { parseUnitKey, unitKey } from "../unit-id.ts";

/** Name of the supervising shell in its own argument list. */
export const supervisorName = "isthmus-supervisor";

/** A running process that carries our marker. */
export interface MarkedProcess {
  readonly pid: number;
  /** Clock ticks since boot (proc(5), field 22 of stat); with the pid it is unique until the next boot. */
  readonly startTime: string;
  readonly unit: UnitId;
  /** The unit's process that it is or descends from. */
  readonly process: string;
  readonly address: string;
  readonly owner: Owner | undefined;
  readonly supervisor: boolean;
}

/** The environment that marks a process as a unit's. */
export function markerEnvironment(
  id: UnitId,
  process: string,
  address: string,
  owner: Owner,
): Readonly<Record<string, string>> {
  return {
    ISTHMUS_UNIT: `${unitKey(id)}/${process}`,
    ISTHMUS_ADDRESS: address,
    ISTHMUS_OWNER: JSON.stringify([owner.project, owner.stack, owner.resource, owner.mesh]),
  };
}

/** Start time of a process that lives; undefined for none and for a zombie. */
export function startTimeOf(pid: number): string | undefined {
  return livingStat(pid)?.[19];
}

/** Whether a process lives and is that one's child. Unlike its environment, which is empty while it turns into another program, this is always to be seen. */
export function isChildOf(pid: number, parent: number): boolean {
  return livingStat(pid)?.[1] === String(parent);
}

/** The fields of stat from the third on, which is the state (proc(5)). */
function livingStat(pid: number): readonly string[] | undefined {
  const stat = readProc(pid, "stat");
  if (!stat) return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields;
}

/** What a process's marker says; undefined when it is not running, is not ours or belongs to another user. */
export function readMarked(pid: number): MarkedProcess | undefined {
  const environment = readProc(pid, "environ");
  if (!environment?.includes("ISTHMUS_UNIT=")) return undefined;
  const startTime = startTimeOf(pid);
  const values = new Map(environment.split("\0").map((entry) => splitOnce(entry)));
  const marker = values.get("ISTHMUS_UNIT") ?? "";
  const slash = marker.lastIndexOf("/");
  const unit = parseUnitKey(marker.slice(0, slash));
  if (!startTime || !unit) return undefined;
  return {
    pid,
    startTime,
    unit,
    process: marker.slice(slash + 1),
    address: values.get("ISTHMUS_ADDRESS") ?? "",
    owner: parseOwner(values.get("ISTHMUS_OWNER")),
    supervisor: readProc(pid, "cmdline")?.split("\0")[3] === supervisorName,
  };
}

/** All running processes of this user that carry a marker. */
export function scanMarked(): readonly MarkedProcess[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => readMarked(Number(entry)) ?? []);
}

/** The sockets that a process has open, as the kernel numbers them. */
export function socketInodes(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).flatMap(
      (fd) => /^socket:\[(\d+)\]$/.exec(readlinkOrEmpty(`${folder}/${fd}`))?.[1] ?? [],
    );
  } catch {
    return [];
  }
}

/**
 * Ends every process that `find` gives: asks the supervisors, which pass it on, and processes without one; after the
 * deadline kills what is left, however often it is born anew.
 */
export async function endProcesses(find: () => readonly MarkedProcess[], deadlineMs: number): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  const asked = new Set<number>();
  for (let left = find(); left.length > 0; left = find()) {
    const supervised = new Set(left.filter((one) => one.supervisor).map((one) => one.process));
    for (const one of left) {
      const late = Date.now() > deadline;
      if (!late && (asked.has(one.pid) || (!one.supervisor && supervised.has(one.process)))) continue;
      asked.add(one.pid);
      signal(one, late ? "SIGKILL" : "SIGTERM");
    }
    await delay(10);
  }
}

function signal(target: MarkedProcess, name: NodeJS.Signals): void {
  if (startTimeOf(target.pid) !== target.startTime) return;
  try {
    process.kill(target.pid, name);
  } catch {
    // It ended between the two lines.
  }
}

function parseOwner(text: string | undefined): Owner | undefined {
  if (!text) return undefined;
  const [project, stack, resource, mesh] = JSON.parse(text) as readonly string[];
  return project !== undefined && stack !== undefined && resource !== undefined && mesh !== undefined
    ? { project, stack, resource, mesh }
    : undefined;
}

function splitOnce(entry: string): [string, string] {
  const at = entry.indexOf("=");
  return [entry.slice(0, at), entry.slice(at + 1)];
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}

function readlinkOrEmpty(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
