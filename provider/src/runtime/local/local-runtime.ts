/** The runtime without an engine: child processes that outlive their starter, on loopback addresses. Linux only; it does not isolate. */
import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { MeshError } from "../../model/errors.ts";
import { createKeyedQueue } from "../keyed-queue.ts";
import { parseListeningSockets } from "../listening-sockets.ts";
import { digestOf, resolveSpec } from "../process-spec.ts";
import { controlPlaneFlags, type Programs } from "../programs.ts";
import type {
  DialTarget,
  Owner,
  Placement,
  ProcessSpec,
  ProcessState,
  Runtime,
  UnitFile,
  UnitId,
  UnitState,
} from "../runtime.ts";
import { checkFilePath, checkName, checkOwner, checkUnitId, describeUnit, unitKey } from "../unit-id.ts";
import { isMissing, processDirectory, runtimeFolder, unitFolder } from "./folders.ts";
import { claimUnit, releaseUnit } from "./loopback.ts";
import {
  endProcesses,
  isChildOf,
  type MarkedProcess,
  markerEnvironment,
  readMarked,
  scanMarked,
  socketInodes,
} from "./processes.ts";
import { startSupervisor } from "./supervisor.ts";
import {
  type ProcessRecord,
  readProcessRecords,
  readStatus,
  readUnitRecord,
  readUnitRecords,
  subfolders,
  type UnitRecord,
  writeProcessRecord,
} from "./unit-record.ts";

/** How long a process may take to end after SIGTERM before it is killed. */
const stopDeadlineMs = 10_000;
const startDeadlineMs = 5_000;

/**
 * The local runtime over one state folder.
 * @throws {MeshError} `unavailable` on anything but Linux.
 */
export function createLocalRuntime(programs: Programs, root: string): Runtime {
  if (process.platform !== "linux") {
    throw new MeshError(
      "unavailable",
      "the local runtime needs Linux, where all of 127.0.0.0/8 is loopback: use Docker here (ISTHMUS_RUNTIME=docker)",
    );
  }
  const queue = createKeyedQueue();

  async function ensureUnit(id: UnitId, owner: Owner, networks: { readonly wan: boolean }): Promise<Placement> {
    checkUnitId(id);
    return await queue(unitKey(id), async () => {
      if (!readUnitRecord(root, id)) await endOrphans(id, owner);
      return placementOf(root, await claimUnit(root, id, owner, networks.wan));
    });
  }

  async function ensureProcess(id: UnitId, spec: ProcessSpec): Promise<ProcessState> {
    checkName(spec.name);
    return await queue(unitKey(id), async () => {
      const unit = requireUnit(root, id);
      const placement = placementOf(root, unit);
      const resolved = resolveSpec(spec, placement);
      const digest = await digestOf(resolved, programs);
      const known = readProcessRecords(root, id).find((record) => record.name === spec.name);
      const state = known && stateOf(root, id, known);
      if (state?.running && state.digest === digest) return state;
      const command = await commandOf(resolved, programs);
      await endProcesses(() => processesOf(id, spec.name), stopDeadlineMs);
      await rm(join(runtimeFolder(root, id), `${spec.name}.status`), { force: true });
      const supervisor = await startSupervisor({
        files: join(runtimeFolder(root, id), spec.name),
        ...command,
        workingDirectory: placement.directory,
        env: {
          PATH: `${dirname(await programs.node())}:${process.env["PATH"] ?? "/usr/bin:/bin"}`,
          HOME: placement.directory,
          ...resolved.env,
          ...markerEnvironment(id, spec.name, unit.address, unit.owner),
        },
      });
      const record = { name: spec.name, ...supervisor, digest };
      writeProcessRecord(root, id, record);
      return await started(root, id, record);
    });
  }

  async function removeProcess(id: UnitId, name: string): Promise<void> {
    await queue(unitKey(id), async () => {
      await endProcesses(() => processesOf(id, name), stopDeadlineMs);
      for (const suffix of [".process.json", ".status", ".log", ".log.1"]) {
        await rm(join(runtimeFolder(root, id), name + suffix), { force: true });
      }
    });
  }

  async function remove(id: UnitId): Promise<void> {
    checkUnitId(id);
    await queue(unitKey(id), async () => {
      await endProcesses(() => processesOf(id), stopDeadlineMs);
      await releaseUnit(root, id);
    });
  }

  async function list(mesh: string): Promise<readonly UnitState[]> {
    const recorded = subfolders(join(root, mesh)).flatMap((datacenter) => readUnitRecords(root, mesh, datacenter));
    const units = recorded.map((record) => unitStateOf(root, record));
    const known = new Set(recorded.map((record) => unitKey(record.id)));
    for (const one of scanMarked()) {
      if (one.unit.mesh !== mesh || known.has(unitKey(one.unit))) continue;
      known.add(unitKey(one.unit));
      units.push(orphanState(root, one));
    }
    return units;
  }

  return {
    kind: "local",
    ensureUnit,
    putFiles: (id, files) => putFiles(root, id, files),
    ensureProcess,
    digest: async (placement, spec) => await digestOf(resolveSpec(spec, placement), programs),
    removeProcess,
    inspect: async (id) => {
      const record = readUnitRecord(root, id);
      return record && unitStateOf(root, record);
    },
    list,
    logs: (id, name, lines) => lastLines(join(runtimeFolder(root, id), name), lines),
    dial: async (id, target) => await dial(placementOf(root, requireUnit(root, id)), target, id),
    listeners: async (id) => await listeners(id),
    remove,
  };
}

/** What runs of a unit whose folder was lost is ended before the unit is made again: its files are gone. */
async function endOrphans(id: UnitId, owner: Owner): Promise<void> {
  for (const one of processesOf(id)) if (one.owner) checkOwner(id, one.owner, owner);
  await endProcesses(() => processesOf(id), stopDeadlineMs);
}

async function commandOf(
  spec: ProcessSpec,
  programs: Programs,
): Promise<{ readonly command: string; readonly args: readonly string[] }> {
  const { program, args } = spec;
  switch (program.type) {
    case "envoy":
      return { command: await programs.envoy(), args };
    case "control-plane":
      return { command: await programs.node(), args: [...controlPlaneFlags, await programs.controlPlane(), ...args] };
    case "command":
      return { command: program.command === "node" ? await programs.node() : program.command, args };
    case "image":
      throw new MeshError(
        "invalid",
        `process "${spec.name}" is the image ${program.image}, which the local runtime cannot run: use a command, or Docker`,
      );
    default:
      return program satisfies never;
  }
}

async function putFiles(root: string, id: UnitId, files: readonly UnitFile[]): Promise<void> {
  requireUnit(root, id);
  for (const file of files) {
    checkFilePath(file.path);
    const path = join(unitFolder(root, id), file.path);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const next = join(dirname(path), `.${randomUUID()}`);
    const handle = await open(next, "wx", 0o600);
    try {
      await handle.writeFile(file.content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(next, path);
  }
}

/** Waits until the supervisor says which process it started. */
async function started(root: string, id: UnitId, record: ProcessRecord): Promise<ProcessState> {
  const deadline = Date.now() + startDeadlineMs;
  while (readStatus(root, id, record.name) === undefined) {
    if (Date.now() > deadline) {
      throw new MeshError(
        "internal",
        `process "${record.name}" of ${describeUnit(id)} was not started in five seconds`,
      );
    }
    await delay(2);
  }
  return stateOf(root, id, record);
}

function processesOf(id: UnitId, name?: string): readonly MarkedProcess[] {
  const key = unitKey(id);
  return scanMarked().filter((one) => unitKey(one.unit) === key && (name === undefined || one.process === name));
}

function requireUnit(root: string, id: UnitId): UnitRecord {
  checkUnitId(id);
  const record = readUnitRecord(root, id);
  if (record) return record;
  throw new MeshError("not_found", `${describeUnit(id)} is not there: make it first`);
}

function placementOf(root: string, record: UnitRecord): Placement {
  const { address } = record;
  const directory = processDirectory(root, record.id);
  return { lan: address, ...(record.wan ? { wan: address } : {}), local: address, directory };
}

function unitStateOf(root: string, record: UnitRecord): UnitState {
  return {
    id: record.id,
    owner: record.owner,
    placement: placementOf(root, record),
    processes: readProcessRecords(root, record.id).map((one) => stateOf(root, record.id, one)),
  };
}

function orphanState(root: string, one: MarkedProcess): UnitState {
  return {
    id: one.unit,
    owner: one.owner ?? { project: "", stack: "", resource: "", mesh: one.unit.mesh },
    placement: { lan: one.address, local: one.address, directory: unitFolder(root, one.unit) },
    processes: [{ name: one.process, running: true, digest: "", restarts: 0, pid: one.pid }],
  };
}

function stateOf(root: string, id: UnitId, record: ProcessRecord): ProcessState {
  const status = readStatus(root, id, record.name);
  const supervisor = readMarked(record.pid);
  const supervised =
    supervisor !== undefined &&
    supervisor.startTime === record.startTime &&
    supervisor.process === record.name &&
    unitKey(supervisor.unit) === unitKey(id);
  const running = supervised && status !== undefined && isChildOf(status.pid, record.pid);
  return {
    name: record.name,
    running,
    digest: record.digest,
    restarts: status?.restarts ?? 0,
    ...(running || status?.exitCode === undefined ? {} : { exitCode: status.exitCode }),
    ...(running ? { pid: status.pid } : {}),
  };
}

async function lastLines(files: string, lines: number): Promise<string> {
  const read = async (path: string) => {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if (isMissing(error)) return "";
      throw error;
    }
  };
  const all = ((await read(`${files}.log.1`)) + (await read(`${files}.log`))).trimEnd();
  return all.split("\n").slice(-lines).join("\n");
}

async function dial(placement: Placement, target: DialTarget, id: UnitId): Promise<Duplex> {
  const where =
    "socket" in target
      ? { path: join(placement.directory, target.socket) }
      : { host: placement.local, port: target.port };
  const socket = connect({ ...where, allowHalfOpen: true });
  return await new Promise((resolve, reject) => {
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (cause) => {
      const place = "socket" in target ? `socket ${target.socket}` : `port ${target.port}`;
      reject(new MeshError("unavailable", `nothing listens on ${place} of ${describeUnit(id)}`, { cause }));
    });
  });
}

/** What the unit's processes themselves hold open, wherever it listens. */
async function listeners(id: UnitId): Promise<readonly { readonly address: string; readonly port: number }[]> {
  const inodes = new Set(processesOf(id).flatMap((one) => socketInodes(one.pid)));
  const ipv6 = readFile("/proc/net/tcp6", "utf8").catch(() => "");
  return parseListeningSockets((await readFile("/proc/net/tcp", "utf8")) + (await ipv6))
    .filter((socket) => inodes.has(socket.inode))
    .map(({ address, port }) => ({ address, port }));
}
