/**
 * The runtime over a Docker engine. A unit is a holder container that owns the network namespace, a volume, and one container
 * per process that joins the namespace; everything is found by labels, and every step tolerates that somebody was faster.
 */
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { ContainerInfo, ContainerInspectInfo } from "dockerode";
import { MeshError } from "../../model/errors.ts";
import { createKeyedQueue } from "../keyed-queue.ts";
import { parseListeningSockets } from "../listening-sockets.ts";
import { digestOf, resolveSpec } from "../process-spec.ts";
import type { Programs } from "../programs.ts";
import type {
  DialTarget,
  Owner,
  Placement,
  ProcessSpec,
  ProcessState,
  Runtime,
  UnitId,
  UnitState,
} from "../runtime.ts";
import { checkName, checkOwner, checkUnitId, describeUnit, parseUnitKey, unitKey } from "../unit-id.ts";
import { holderOptions, processOptions } from "./containers.ts";
import { type Engine, engineError, engineStatus, unless } from "./engine.ts";
import { createDemultiplexer } from "./exec-stream.ts";
import { createImages, unitDirectory } from "./images.ts";
import {
  datacenterNetworkName,
  label,
  labelFilter,
  ownerLabels,
  ownerOf,
  processResourceName,
  unitLabels,
  unitOf,
  unitResourceName,
  wanNetworkName,
} from "./labels.ts";
import { ensureDatacenterNetwork, ensureWanNetwork, removeEmptyNetworks } from "./networks.ts";
import { readAll, readVerdict, startRelay } from "./relay-stream.ts";
import { putFiles } from "./unit-files.ts";

/** How often a step is tried again when something it used went away under it. */
const attempts = 4;
const goneDeadlineMs = 10_000;
const goneOrGoing = [404, 409] as const;
const unchanged = [304] as const;

/** The Docker runtime over one engine. Opens no connection until it is used. */
export function createDockerRuntime(engine: Engine, programs: Programs): Runtime {
  const images = createImages(engine, programs);
  const queue = createKeyedQueue();

  async function ensureHolder(id: UnitId, owner: Owner, wan: boolean): Promise<ContainerInspectInfo> {
    const known = await findHolder(engine, id);
    if (known) checkOwner(id, ownerOf(known.Config.Labels), owner);
    else await checkVolume(engine, id, owner);
    const network = datacenterNetworkName(id.mesh, id.datacenter);
    const container = known
      ? engine.getContainer(known.Id)
      : await engine.createContainer(
          holderOptions(
            id,
            owner,
            await images.holder(),
            await ensureDatacenterNetwork(engine, id.mesh, id.datacenter),
          ),
        );
    if (!known?.State.Running) {
      if (known) await ensureDatacenterNetwork(engine, id.mesh, id.datacenter);
      await unless(unchanged, container.start());
    }
    const joined = new Set(Object.keys(known?.NetworkSettings.Networks ?? { [network]: {} }));
    if (!joined.has(network)) {
      await ensureDatacenterNetwork(engine, id.mesh, id.datacenter);
      await unless([403, 409], engine.getNetwork(network).connect({ Container: container.id }));
    }
    const wanName = wanNetworkName(id.mesh);
    if (wan && !joined.has(wanName)) {
      await ensureWanNetwork(engine, id.mesh);
      await unless([403, 409], engine.getNetwork(wanName).connect({ Container: container.id }));
    }
    if (!wan && joined.has(wanName)) {
      await unless([403, 404, 409], engine.getNetwork(wanName).disconnect({ Container: container.id }));
    }
    const settled = known?.State.Running && joined.has(network) && joined.has(wanName) === wan;
    return settled ? known : await container.inspect();
  }

  async function ensureProcess(id: UnitId, spec: ProcessSpec): Promise<ProcessState> {
    const holder = await requireHolder(engine, id);
    const resolved = resolveSpec(spec, placementOf(id, holder));
    const digest = await digestOf(resolved, programs);
    const known = await findProcess(engine, id, spec.name);
    if (known) {
      const state = stateOf(known, holder);
      const same = state.digest === digest && joins(known, holder) && !known.State.Dead;
      if (same && state.running) return state;
      const container = engine.getContainer(known.Id);
      if (same && !known.State.Restarting) {
        await container.restart();
        return stateOf(await container.inspect(), holder);
      }
      await removeContainer(engine, known.Id);
    }
    const image = await imageOf(resolved);
    const options = processOptions(id, {
      name: processResourceName(id, spec.name),
      image,
      program: resolved.program,
      args: resolved.args,
      env: resolved.env,
      holder: holder.Id,
      labels: {
        ...unitLabels(id),
        ...ownerLabels(ownerOf(holder.Config.Labels)),
        [label.part]: "process",
        [label.process]: spec.name,
        [label.digest]: digest,
      },
    });
    const container = await engine.createContainer(options);
    await container.start();
    return stateOf(await container.inspect(), holder);
  }

  async function imageOf(spec: ProcessSpec): Promise<string> {
    switch (spec.program.type) {
      case "envoy":
        return await images.proxy();
      case "control-plane":
        return await images.controlPlane();
      case "command":
        return await images.node();
      case "image":
        return await pulled(engine, spec.program.image);
      default:
        return spec.program satisfies never;
    }
  }

  async function dial(id: UnitId, target: DialTarget): Promise<Duplex> {
    const holder = await requireHolder(engine, id);
    const args =
      "socket" in target
        ? ["socket", `${unitDirectory}/${target.socket}`]
        : ["port", placementOf(id, holder).local, String(target.port)];
    const stream = await startRelay(engine, images, id, holder.Id, args);
    const verdict = await readVerdict(stream);
    if (verdict === undefined) return stream;
    stream.destroy();
    const place = "socket" in target ? `socket ${target.socket}` : `port ${target.port}`;
    throw new MeshError("unavailable", `nothing listens on ${place} of ${describeUnit(id)} (${verdict})`);
  }

  async function listeners(id: UnitId) {
    const holder = await requireHolder(engine, id);
    const relay = await startRelay(engine, images, id, holder.Id, ["listeners"]);
    relay.end();
    const table = (await readAll(relay)).toString();
    return parseListeningSockets(table)
      .filter(({ address }) => address !== "127.0.0.11") // the engine's own name server
      .map(({ address, port }) => ({ address, port }));
  }

  /** One task at a time per unit, tried again when the engine says that something vanished or is in the way. */
  async function change<T>(id: UnitId, doing: string, task: () => Promise<T>): Promise<T> {
    checkUnitId(id);
    return await queue(unitKey(id), async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await task();
        } catch (error) {
          const status = engineStatus(error);
          if ((status !== 404 && status !== 409) || attempt === attempts) {
            throw engineError(`${doing} ${describeUnit(id)}`, error);
          }
          await delay(50 * attempt);
        }
      }
    });
  }

  return {
    kind: "docker",
    ensureUnit: (id, owner, networks) =>
      change(id, "making", async () => placementOf(id, await ensureHolder(id, owner, networks.wan))),
    putFiles: (id, files) =>
      change(id, "writing files of", async () => {
        const holder = await requireHolder(engine, id);
        await putFiles(engine.getContainer(holder.Id), files);
      }),
    ensureProcess: (id, spec) => {
      checkName(spec.name);
      return change(id, `starting ${spec.name} of`, () => ensureProcess(id, spec));
    },
    digest: async (placement, spec) => await digestOf(resolveSpec(spec, placement), programs),
    removeProcess: (id, name) =>
      change(id, `stopping ${name} of`, async () => {
        const known = await findProcess(engine, id, name);
        if (known) await removeContainer(engine, known.Id);
      }),
    inspect: (id) => reading(id, async () => await unitState(engine, id)),
    list: async (mesh) => await listUnits(engine, mesh),
    logs: (id, name, lines) => reading(id, async () => await lastLines(engine, id, name, lines)),
    dial: (id, target) => reading(id, async () => await dial(id, target)),
    listeners: (id) => reading(id, async () => await listeners(id)),
    remove: (id) => change(id, "removing", () => removeUnit(engine, id)),
  };
}

async function reading<T>(id: UnitId, task: () => Promise<T>): Promise<T> {
  checkUnitId(id);
  try {
    return await task();
  } catch (error) {
    throw engineError(`asking for ${describeUnit(id)}`, error);
  }
}

/** Every container of the unit, those that do not run too. */
async function containersOf(engine: Engine, id: UnitId): Promise<readonly ContainerInfo[]> {
  return await engine.listContainers({ all: true, filters: labelFilter(unitLabels(id)) });
}

async function findHolder(engine: Engine, id: UnitId): Promise<ContainerInspectInfo | undefined> {
  return await findPart(engine, id, { [label.part]: "holder" });
}

async function findProcess(engine: Engine, id: UnitId, name: string): Promise<ContainerInspectInfo | undefined> {
  return await findPart(engine, id, { [label.part]: "process", [label.process]: name });
}

async function findPart(
  engine: Engine,
  id: UnitId,
  part: Readonly<Record<string, string>>,
): Promise<ContainerInspectInfo | undefined> {
  const filters = labelFilter({ ...unitLabels(id), ...part });
  const [found] = await engine.listContainers({ all: true, filters });
  return found && (await unless([404], engine.getContainer(found.Id).inspect()));
}

async function requireHolder(engine: Engine, id: UnitId): Promise<ContainerInspectInfo> {
  const holder = await findHolder(engine, id);
  if (holder?.State.Running) return holder;
  throw new MeshError("not_found", `${describeUnit(id)} is not there or does not run: make it first`);
}

/** The volume outlives a holder that was removed by hand; its labels still say whose the unit is. */
async function checkVolume(engine: Engine, id: UnitId, owner: Owner): Promise<void> {
  const name = unitResourceName(id);
  const volume = await unless([404], engine.getVolume(name).inspect());
  if (volume) checkOwner(id, ownerOf(volume.Labels ?? {}), owner);
  else await engine.createVolume({ Name: name, Labels: { ...unitLabels(id), ...ownerLabels(owner) } });
}

/** Stops it, asking first, and waits until its name is free again. */
async function removeContainer(engine: Engine, containerId: string): Promise<void> {
  const container = engine.getContainer(containerId);
  await unless([...unchanged, ...goneOrGoing], container.stop());
  await unless(goneOrGoing, container.remove({ force: true }));
  const deadline = Date.now() + goneDeadlineMs;
  while (await unless([404], container.inspect())) {
    if (Date.now() > deadline)
      throw new MeshError("unavailable", `container ${containerId} does not go away: try again`);
    await delay(20);
  }
}

async function removeUnit(engine: Engine, id: UnitId): Promise<void> {
  const all = await containersOf(engine, id);
  const isHolder = (one: ContainerInfo) => one.Labels[label.part] === "holder";
  await Promise.all(all.filter((one) => !isHolder(one)).map((one) => removeContainer(engine, one.Id)));
  await Promise.all(all.filter(isHolder).map((one) => removeContainer(engine, one.Id)));
  await unless([404], engine.getVolume(unitResourceName(id)).remove());
  await removeEmptyNetworks(engine, id.mesh, id.datacenter);
}

async function unitState(engine: Engine, id: UnitId): Promise<UnitState | undefined> {
  const found = await containersOf(engine, id);
  const inspected = await Promise.all(found.map((one) => unless([404], engine.getContainer(one.Id).inspect())));
  const present = inspected.filter((one) => one !== undefined);
  const holder = present.find((one) => one.Config.Labels[label.part] === "holder");
  if (!holder) return undefined;
  const processes = present
    .filter((one) => one.Config.Labels[label.part] === "process")
    .map((one) => stateOf(one, holder))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return { id, owner: ownerOf(holder.Config.Labels), placement: placementOf(id, holder), processes };
}

/** Units are known by any container or volume of theirs, so that what is left of a broken one shows up too. */
async function listUnits(engine: Engine, mesh: string): Promise<readonly UnitState[]> {
  const filters = labelFilter({ [label.mesh]: mesh });
  const containers = await engine.listContainers({ all: true, filters });
  const { Volumes: volumes } = await engine.listVolumes({ filters: JSON.stringify(filters) });
  const remains = new Map<string, Owner>();
  for (const { Labels: labels } of [...volumes, ...containers]) {
    const id = unitOf(labels ?? {});
    if (id) remains.set(unitKey(id), ownerOf(labels ?? {}));
  }
  return await Promise.all(
    [...remains].map(async ([key, owner]) => {
      const id = parseUnitKey(key)!;
      const broken = { id, owner, placement: { lan: "", local: "127.0.0.1", directory: unitDirectory }, processes: [] };
      return (await unitState(engine, id)) ?? broken;
    }),
  );
}

function placementOf(id: UnitId, holder: ContainerInspectInfo): Placement {
  const networks = holder.NetworkSettings.Networks;
  const wan = networks[wanNetworkName(id.mesh)]?.IPAddress;
  return {
    lan: networks[datacenterNetworkName(id.mesh, id.datacenter)]?.IPAddress ?? "",
    ...(wan ? { wan } : {}),
    local: "127.0.0.1",
    directory: unitDirectory,
  };
}

/** A process that was started before its holder sits in a namespace that is no more. */
function stateOf(container: ContainerInspectInfo, holder: ContainerInspectInfo): ProcessState {
  const { State: state, Config: config } = container;
  const inNamespace = Date.parse(state.StartedAt) >= Date.parse(holder.State.StartedAt);
  const running = state.Running && !state.Restarting && joins(container, holder) && inNamespace && holder.State.Running;
  const ended = !running && Date.parse(state.FinishedAt) > 0; // the engine forgets the code when it starts it again
  return {
    name: config.Labels[label.process] ?? "",
    running,
    digest: config.Labels[label.digest] ?? "",
    restarts: container.RestartCount,
    ...(ended ? { exitCode: state.ExitCode } : {}),
    ...(running ? { pid: state.Pid } : {}),
  };
}

function joins(container: ContainerInspectInfo, holder: ContainerInspectInfo): boolean {
  return container.HostConfig.NetworkMode === `container:${holder.Id}`;
}

async function pulled(engine: Engine, image: string): Promise<string> {
  if (await unless([404], engine.getImage(image).inspect())) return image;
  const progress = await engine.pull(image);
  await new Promise<void>((resolve, reject) => {
    engine.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()));
  });
  return image;
}

async function lastLines(engine: Engine, id: UnitId, name: string, lines: number): Promise<string> {
  const known = await findProcess(engine, id, name);
  if (!known) return "";
  const printed = await engine.getContainer(known.Id).logs({ stdout: true, stderr: true, tail: lines });
  const parts = createDemultiplexer()(printed).map((part) => part.bytes);
  return Buffer.concat(parts).toString().trimEnd();
}
