/** What of a mesh is up: its units in every runtime that can be used here, and the services that its datacenters know. */
import { type MeshError, toMeshError } from "../model/errors.ts";
import { type ApiClient, openApi } from "../pulumi/api-client.ts";
import { findRuntimes } from "../runtime/open.ts";
import type { Runtime, UnitState } from "../runtime/runtime.ts";

/** A unit and the runtime it lives in. */
export interface PlacedUnit {
  readonly runtime: Runtime;
  readonly state: UnitState;
}

/** A service as `/v1/agent/services` shows it: the part that is read here, in Consul's names. */
export interface AgentService {
  readonly ID: string;
  readonly Service: string;
  readonly Kind?: string;
  readonly Port?: number;
  readonly Proxy?: {
    readonly DestinationServiceName?: string;
    readonly Upstreams?: readonly UpstreamView[];
  };
}

/** An upstream of a sidecar, in Consul's names. */
export interface UpstreamView {
  readonly DestinationName: string;
  readonly Datacenter?: string;
  readonly LocalBindAddress?: string;
  readonly LocalBindPort?: number;
}

const ROLES = ["control-plane", "mesh-gateway", "service"] as const;

/** Every unit of the mesh, sorted by datacenter, role and name. */
export async function findUnits(mesh: string): Promise<readonly PlacedUnit[]> {
  const runtimes = await findRuntimes();
  const lists = await Promise.all(
    runtimes.map(async (runtime) => (await runtime.list(mesh)).map((state) => ({ runtime, state }))),
  );
  const key = ({ state: { id } }: PlacedUnit) => `${id.datacenter} ${ROLES.indexOf(id.role)} ${id.name}`;
  return lists.flat().sort((a, b) => key(a).localeCompare(key(b)));
}

/** Asks the API of each datacenter that has a control plane; the clients are closed in the end. */
export async function askDatacenters<T>(
  units: readonly PlacedUnit[],
  ask: (datacenter: string, api: ApiClient) => Promise<T>,
): Promise<readonly T[]> {
  const planes = units.filter(({ state }) => state.id.role === "control-plane");
  return Promise.all(
    planes.map(async ({ runtime, state: { id } }) => {
      using api = openApi(runtime, id.mesh, id.datacenter);
      return await ask(id.datacenter, api);
    }),
  );
}

/**
 * Services of each datacenter that answers; one that does not is left out, since a mesh carries traffic without it.
 * @throws {MeshError} `unavailable` when none answers.
 */
export async function readServices(
  units: readonly PlacedUnit[],
): Promise<ReadonlyMap<string, readonly AgentService[]>> {
  const failures: MeshError[] = [];
  const entries = await askDatacenters(units, async (datacenter, api) => {
    try {
      const services = await api.get<Readonly<Record<string, AgentService>>>("/v1/agent/services");
      return [[datacenter, Object.values(services)] as const];
    } catch (error) {
      failures.push(toMeshError(error));
      return [];
    }
  });
  const answered = entries.flat();
  if (answered.length === 0 && failures[0] !== undefined) throw failures[0];
  return new Map(answered);
}
