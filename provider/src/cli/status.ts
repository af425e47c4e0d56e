/** `isthmus status`: datacenters, proxies and units, as a table or as JSON. */
import { parseArgs } from "node:util";
import { toMeshError } from "../model/errors.ts";
import type { ProxyStatus, StatusResponse } from "../model/isthmus-api.ts";
import type { ApiClient } from "../pulumi/api-client.ts";
import type { Command } from "./command-line.ts";
import { askDatacenters, findUnits, type PlacedUnit } from "./mesh-view.ts";
import { findProject, readMeshId } from "./project.ts";
import { formatTable } from "./table.ts";

interface DatacenterView {
  readonly name: string;
  /** Why its control plane could not be asked. */
  readonly error?: string;
  readonly status?: StatusResponse;
  readonly proxies: readonly ProxyStatus[];
}

/** Exit code 1 when something is not ready or does not answer. */
export const status: Command = async (args, terminal) => {
  const { values } = parseArgs({ args: [...args], options: { json: { type: "boolean", default: false } } });
  const mesh = await readMeshId(await findProject(terminal.cwd));
  const units = mesh === undefined ? [] : await findUnits(mesh);
  const datacenters = await askDatacenters(units, viewDatacenter);
  if (values.json) terminal.say(JSON.stringify({ mesh, datacenters, units: units.map(unitJson) }, undefined, 2));
  else if (units.length === 0) terminal.say("nothing is up");
  else terminal.say(describe(datacenters, units));
  return datacenters.every(({ status: one, proxies }) => one?.Ready === true && proxies.every((proxy) => proxy.Ready))
    ? 0
    : 1;
};

async function viewDatacenter(name: string, api: ApiClient): Promise<DatacenterView> {
  try {
    const [one, proxies] = await Promise.all([
      api.get<StatusResponse>("/v1/isthmus/status"),
      api.get<readonly ProxyStatus[]>("/v1/isthmus/proxies"),
    ]);
    return { name, status: one, proxies };
  } catch (error) {
    return { name, error: toMeshError(error).message, proxies: [] };
  }
}

function describe(datacenters: readonly DatacenterView[], units: readonly PlacedUnit[]): string {
  const tables = [
    formatTable(["datacenter", "role", "state", "primary link"], datacenters.map(datacenterRow)),
    formatTable(
      ["proxy", "datacenter", "kind", "state", "remarks"],
      datacenters.flatMap(({ name, proxies }) => proxies.map((proxy) => proxyRow(name, proxy))),
    ),
    formatTable(
      ["unit", "datacenter", "runtime", "address", "processes"],
      units.map(({ runtime, state }) => [
        `${state.id.role} ${state.id.name}`,
        state.id.datacenter,
        runtime.kind,
        state.placement.lan,
        state.processes.map((process) => `${process.name}${process.running ? "" : " (not running)"}`).join(", "),
      ]),
    ),
  ];
  return tables.join("\n\n");
}

function datacenterRow({ name, error, status: one }: DatacenterView): readonly string[] {
  if (one === undefined) return [name, "", `no answer: ${error}`, ""];
  const role = one.Datacenter === one.PrimaryDatacenter ? "primary" : "secondary";
  const { Replication: link } = one;
  const connection =
    link === undefined
      ? ""
      : link.Connected
        ? `connected, index ${link.ReplicatedIndex}`
        : `not connected ${link.LastError}`;
  return [name, role, one.Ready ? "ready" : `waiting: ${one.Waiting.join("; ")}`, connection.trimEnd()];
}

function proxyRow(datacenter: string, proxy: ProxyStatus): readonly string[] {
  const rejected = proxy.Types.filter((type) => type.State === "nacked").map(
    (type) => `rejected ${type.TypeUrl.split(".").at(-1)}: ${type.Error}`,
  );
  const state = proxy.Ready ? "ready" : proxy.Connected ? "configuring" : "not connected";
  return [proxy.ProxyID, datacenter, proxy.Kind, state, [...rejected, ...proxy.Warnings].join("; ")];
}

function unitJson({ runtime, state }: PlacedUnit): object {
  return { runtime: runtime.kind, ...state.id, placement: state.placement, processes: state.processes };
}
