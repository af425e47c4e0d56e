/** Names and labels of everything that is made in an engine. Labels decide what is whose; names only keep things apart. Pure. */
import { createHash } from "node:crypto";
import type { Owner, UnitId } from "../runtime.ts";
import { unitHash } from "../unit-id.ts";

/** Label keys. */
export const label = {
  mesh: "isthmus.mesh",
  datacenter: "isthmus.datacenter",
  role: "isthmus.role",
  name: "isthmus.name",
  project: "isthmus.project",
  stack: "isthmus.stack",
  resource: "isthmus.resource",
  /** `holder`, `process` or `relay`. */
  part: "isthmus.part",
  process: "isthmus.process",
  digest: "isthmus.digest",
  /** Which of our images it is. */
  image: "isthmus.image",
  /** `datacenter` or `wan`. */
  network: "isthmus.network",
} as const;

/** Labels as the engine keeps them. */
export type Labels = Readonly<Record<string, string>>;

/** The labels that say which unit it is. */
export function unitLabels(id: UnitId): Labels {
  return {
    [label.mesh]: id.mesh,
    [label.datacenter]: id.datacenter,
    [label.role]: id.role,
    [label.name]: id.name,
  };
}

/** The labels that say whose it is; the mesh is among those of the unit. */
export function ownerLabels(owner: Owner): Labels {
  return { [label.project]: owner.project, [label.stack]: owner.stack, [label.resource]: owner.resource };
}

/** The unit that the labels name; undefined when they are not a unit's. */
export function unitOf(labels: Labels): UnitId | undefined {
  const [mesh, datacenter, name] = [labels[label.mesh], labels[label.datacenter], labels[label.name]];
  const role = labels[label.role];
  if (!mesh || !datacenter || !name) return undefined;
  if (role !== "control-plane" && role !== "mesh-gateway" && role !== "service") return undefined;
  return { mesh, datacenter, role, name };
}

/** The owner that the labels name. */
export function ownerOf(labels: Labels): Owner {
  return {
    project: labels[label.project] ?? "",
    stack: labels[label.stack] ?? "",
    resource: labels[label.resource] ?? "",
    mesh: labels[label.mesh] ?? "",
  };
}

/** A query for things with all of these labels. */
export function labelFilter(labels: Labels): { readonly label: string[] } {
  return { label: Object.entries(labels).map(([key, value]) => `${key}=${value}`) };
}

/** Name of the unit's holder and of its volume; unique for the unit. */
export function unitResourceName(id: UnitId): string {
  return `isthmus-${id.datacenter}-${id.name}-${unitHash(id)}`;
}

/** Name of a process's container. */
export function processResourceName(id: UnitId, process: string): string {
  return `${unitResourceName(id)}-${process}`;
}

/** Name of a datacenter's network. */
export function datacenterNetworkName(mesh: string, datacenter: string): string {
  return `isthmus-${datacenter}-${shortHash(`${mesh}/datacenter/${datacenter}`)}`;
}

/** Name of a mesh's WAN network. */
export function wanNetworkName(mesh: string): string {
  return `isthmus-wan-${shortHash(`${mesh}/wan`)}`;
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
