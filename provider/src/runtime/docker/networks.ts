/** The bridge networks of a mesh: a private one per datacenter and one WAN network. */
import { MeshError } from "../../model/errors.ts";
import { type Engine, unless } from "./engine.ts";
import { datacenterNetworkName, type Labels, label, labelFilter, wanNetworkName } from "./labels.ts";

/** Name of the datacenter's network, made if absent. @throws {MeshError} `already_exists` when its name is taken. */
export async function ensureDatacenterNetwork(engine: Engine, mesh: string, datacenter: string): Promise<string> {
  return await ensureNetwork(engine, datacenterNetworkName(mesh, datacenter), datacenterLabels(mesh, datacenter));
}

/** Name of the mesh's WAN network, made if absent. @throws {MeshError} `already_exists` when its name is taken. */
export async function ensureWanNetwork(engine: Engine, mesh: string): Promise<string> {
  return await ensureNetwork(engine, wanNetworkName(mesh), wanLabels(mesh));
}

/** Removes the datacenter's network and the mesh's WAN network where no container of ours is left that belongs to them. */
export async function removeEmptyNetworks(engine: Engine, mesh: string, datacenter: string): Promise<void> {
  const members = async (labels: Labels) =>
    (await engine.listContainers({ all: true, filters: labelFilter(labels) })).length;
  const inMesh = { [label.mesh]: mesh };
  if ((await members({ ...inMesh, [label.datacenter]: datacenter })) === 0) {
    await removeNetworks(engine, datacenterLabels(mesh, datacenter));
  }
  if ((await members(inMesh)) === 0) await removeNetworks(engine, inMesh);
}

function datacenterLabels(mesh: string, datacenter: string): Labels {
  return { [label.mesh]: mesh, [label.network]: "datacenter", [label.datacenter]: datacenter };
}

function wanLabels(mesh: string): Labels {
  return { [label.mesh]: mesh, [label.network]: "wan" };
}

/** The engine allows two networks of one name; two that were made at once are resolved in favour of the lesser id. */
async function ensureNetwork(engine: Engine, name: string, labels: Labels): Promise<string> {
  const find = async () =>
    (await engine.listNetworks({ filters: { name: [name] } }))
      .filter((network) => network.Name === name)
      .sort((a, b) => (a.Id < b.Id ? -1 : 1));
  if ((await find()).length === 0) {
    await unless(
      [409],
      engine.createNetwork({ Name: name, Driver: "bridge", CheckDuplicate: true, Labels: { ...labels } }),
    );
  }
  const [first, ...rest] = await find();
  for (const twin of rest) await unless([403, 404, 409], engine.getNetwork(twin.Id).remove());
  const isOurs = Object.entries(labels).every(([key, value]) => first?.Labels?.[key] === value);
  if (isOurs) return name;
  throw new MeshError("already_exists", `the Docker network ${name} is not this mesh's: remove it or rename it`);
}

/** In use by somebody (403) and gone already (404) are both fine. */
async function removeNetworks(engine: Engine, labels: Labels): Promise<void> {
  for (const network of await engine.listNetworks({ filters: labelFilter(labels) })) {
    await unless([403, 404, 409], engine.getNetwork(network.Id).remove());
  }
}
