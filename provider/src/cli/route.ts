/** The way of an echo: which unit dials which upstream and which Envoys the connection should pass. Pure. */
import { MeshError } from "../model/errors.ts";
import type { UnitId } from "../runtime/runtime.ts";
import type { AgentService, UpstreamView } from "./mesh-view.ts";

export interface Route {
  readonly from: UnitId;
  /** Upstream's port inside the source's unit. */
  readonly localPort: number;
  readonly destination: string;
  readonly datacenter: string;
  /** Units whose proxies may see the connection, in its order. */
  readonly hops: readonly Hop[];
}

export interface Hop {
  readonly label: string;
  readonly unit: UnitId;
}

/** What the echo is asked to do: a service name and one of its upstreams (the first one by default). */
export interface RouteRequest {
  readonly from: string;
  readonly to?: string;
}

/** @throws {MeshError} `not_found` when there is no such service, upstream or unit; the message lists what there is. */
export function findRoute(
  request: RouteRequest,
  services: ReadonlyMap<string, readonly AgentService[]>,
  units: readonly UnitId[],
): Route {
  const { from, datacenter: home, upstream } = findUpstream(request, services);
  const datacenter = upstream.Datacenter || home;
  const source = units.find((id) => id.role === "service" && id.name === from && id.datacenter === home);
  if (source === undefined)
    throw new MeshError("not_found", `service "${from}": datacenter ${home} knows it, but no unit of it runs here`);
  if (!upstream.LocalBindPort)
    throw new MeshError("not_found", `service "${from}": its upstream "${upstream.DestinationName}" has no local port`);
  const gateways = (name: string) => units.filter((id) => id.role === "mesh-gateway" && id.datacenter === name);
  const targets = units.filter(
    (id) => id.role === "service" && id.name === upstream.DestinationName && id.datacenter === datacenter,
  );
  const hop = (kind: string) => (unit: UnitId) => ({ label: `${kind} ${unit.name} (${unit.datacenter})`, unit });
  return {
    from: source,
    localPort: upstream.LocalBindPort,
    destination: upstream.DestinationName,
    datacenter,
    hops: [
      hop("sidecar")(source),
      ...(datacenter === home ? [] : [...gateways(home), ...gateways(datacenter)].map(hop("gateway"))),
      ...targets.map(hop("sidecar")),
    ],
  };
}

interface FoundUpstream {
  readonly from: string;
  readonly datacenter: string;
  readonly upstream: UpstreamView;
}

function findUpstream(
  { from, to }: RouteRequest,
  services: ReadonlyMap<string, readonly AgentService[]>,
): FoundUpstream {
  const all = [...services].flatMap(([datacenter, list]) =>
    list.flatMap((service) => upstreamsOf(datacenter, service)),
  );
  const found = all.find((entry) => entry.from === from && (to === undefined || entry.upstream.DestinationName === to));
  if (found !== undefined) return found;
  const known = all.map((entry) => `${entry.from} -> ${entry.upstream.DestinationName}`);
  const wanted = to === undefined ? `service "${from}" has no upstream` : `service "${from}" has no upstream "${to}"`;
  throw new MeshError(
    "not_found",
    `${wanted}; ${known.length === 0 ? "no service has one" : `there is ${known.join(", ")}`}`,
  );
}

function upstreamsOf(datacenter: string, service: AgentService): readonly FoundUpstream[] {
  const from = service.Proxy?.DestinationServiceName;
  if (service.Kind !== "connect-proxy" || from === undefined) return [];
  return (service.Proxy?.Upstreams ?? []).map((upstream) => ({ from, datacenter, upstream }));
}
