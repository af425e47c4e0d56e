/** From a registration to records, and from a deregistration to what goes: Consul's defaults for services and sidecars. Pure. */
import { MeshError } from "../model/errors.ts";
import type { CheckRecord, ProxyConfig, ServiceRecord } from "../model/records.ts";
import { keepStatus, proxyCheckId, recordsOfChecks, unconnectedProxyCheck } from "./checks.ts";
import type { ServiceInput, SidecarInput } from "./definitions.ts";

/** Ports that sidecars without one of their own are given, both ends included (Consul's `sidecar_min_port`, `sidecar_max_port`). */
export const sidecarPorts = { first: 21_000, last: 21_255 } as const;

/** What is already there. */
export interface RegistrationContext {
  readonly node: string;
  /** Accessor of the token that registers. */
  readonly tokenAccessor: string;
  /** Services and checks of the node. */
  readonly services: readonly ServiceRecord[];
  readonly checks: readonly CheckRecord[];
  /** Drop checks of the service that the registration does not name. Without it they stay, as in Consul. */
  readonly replaceExistingChecks: boolean;
}

/** What a registration sets and what it removes. */
export interface Registration {
  readonly services: readonly ServiceRecord[];
  readonly checks: readonly CheckRecord[];
  readonly removedServices: readonly ServiceRecord[];
  readonly removedChecks: readonly CheckRecord[];
}

/**
 * Records of a service and, with `Connect.SidecarService`, of its sidecar `<id>-sidecar-proxy`. A sidecar that an
 * earlier registration made and this one does not ask for goes.
 * @throws {MeshError} `invalid` when the kind and the other parts do not fit, or no sidecar port is free.
 */
export function recordsOfRegistration(input: ServiceInput, context: RegistrationContext): Registration {
  const service = serviceRecord(input, context);
  const sidecarInput = input.Connect?.SidecarService;
  const sidecar = sidecarInput && sidecarRecord(sidecarInput, service, context);
  const services = sidecar ? [service, sidecar] : [service];

  const wanted = [...checksOf(input, service), ...(sidecar && sidecarInput ? checksOf(sidecarInput, sidecar) : [])];
  const known = new Map(context.checks.map((check) => [check.CheckID, check]));
  for (const check of wanted) {
    const other = known.get(check.CheckID);
    if (other && !services.some((one) => one.ID === other.ServiceID)) {
      throw new MeshError(
        "invalid",
        `check id "${check.CheckID}" already belongs to ${other.ServiceID ? `service "${other.ServiceID}"` : "the node"}; choose another CheckID`,
      );
    }
  }
  const checks = wanted.map((check) => keepStatus(check, known.get(check.CheckID)));

  const removedServices = context.services.filter((one) => one.SidecarOf === service.ID && one.ID !== sidecar?.ID);
  const named = new Set(checks.map((check) => check.CheckID));
  const removedChecks = context.checks.filter((check) => {
    if (removedServices.some((one) => one.ID === check.ServiceID)) return true;
    if (!services.some((one) => one.ID === check.ServiceID) || named.has(check.CheckID)) return false;
    return context.replaceExistingChecks && check.Type !== "maintenance";
  });
  const renamed = context.checks
    .filter((check) => !named.has(check.CheckID) && !removedChecks.includes(check))
    .flatMap((check) => {
      const owner = services.find((one) => one.ID === check.ServiceID);
      return owner && owner.Service !== check.ServiceName ? [{ ...check, ServiceName: owner.Service }] : [];
    });
  return { services, checks: [...checks, ...renamed], removedServices, removedChecks };
}

/** What goes with a service: itself, the sidecar that was made for it, and their checks. Empty for an unknown id. */
export function recordsOfDeregistration(
  serviceId: string,
  context: Pick<RegistrationContext, "services" | "checks">,
): { readonly services: readonly ServiceRecord[]; readonly checks: readonly CheckRecord[] } {
  const services = context.services.filter((one) => one.ID === serviceId || one.SidecarOf === serviceId);
  const ids = new Set(services.map((one) => one.ID));
  return { services, checks: context.checks.filter((check) => ids.has(check.ServiceID)) };
}

/** The record of a service, an explicit sidecar or a gateway, without what `Connect` adds. */
export function serviceRecord(
  input: ServiceInput,
  context: Pick<RegistrationContext, "node" | "tokenAccessor" | "services">,
): ServiceRecord {
  const kind = input.Kind ?? "";
  const id = input.ID || input.Name;
  const problem = kindProblem(input);
  if (problem) throw new MeshError("invalid", `service "${id}": ${problem}`);
  const before = context.services.find((one) => one.ID === id);
  if (before?.SidecarOf !== undefined) {
    throw new MeshError(
      "invalid",
      `service "${id}" is the sidecar of "${before.SidecarOf}"; change it in that service's Connect.SidecarService, or choose another ID`,
    );
  }
  return {
    ...instanceRecord(input, { node: context.node, id, name: input.Name, kind, tokenAccessor: context.tokenAccessor }),
    ...(kind === "" ? {} : { Proxy: proxyConfig(input.Proxy ?? {}, kind) }),
  };
}

function sidecarRecord(input: SidecarInput, service: ServiceRecord, context: RegistrationContext): ServiceRecord {
  const id = `${service.ID}-sidecar-proxy`;
  if (service.Kind !== "") {
    throw new MeshError(
      "invalid",
      `service "${service.ID}": a ${service.Kind} has no sidecar; remove Connect.SidecarService`,
    );
  }
  const before = context.services.find((one) => one.ID === id);
  if (before && before.SidecarOf !== service.ID) {
    throw new MeshError(
      "invalid",
      `service "${service.ID}": its sidecar's id "${id}" is taken by another service; deregister that one first`,
    );
  }
  const destination = input.Proxy ?? {};
  if (destination.DestinationServiceName && destination.DestinationServiceName !== service.Service) {
    throw new MeshError(
      "invalid",
      `service "${service.ID}": Connect.SidecarService.Proxy.DestinationServiceName must be "${service.Service}" or absent`,
    );
  }
  const inherited: SidecarInput = {
    ...input,
    Tags: input.Tags ?? service.Tags,
    Meta: input.Meta ?? service.Meta,
    Address: input.Address || service.Address,
    Port: input.Port || freePort(id, before, context.services),
  };
  const proxy: ProxyConfig = {
    ...destination,
    DestinationServiceName: service.Service,
    DestinationServiceID: service.ID,
    LocalServiceAddress: destination.LocalServiceAddress || "127.0.0.1",
    ...(destination.LocalServicePort || service.Port
      ? { LocalServicePort: destination.LocalServicePort || service.Port }
      : {}),
  };
  return {
    ...instanceRecord(inherited, {
      node: context.node,
      id,
      name: input.Name || `${service.Service}-sidecar-proxy`,
      kind: "connect-proxy",
      tokenAccessor: context.tokenAccessor,
    }),
    Proxy: proxyConfig(proxy, "connect-proxy"),
    SidecarOf: service.ID,
  };
}

function freePort(id: string, before: ServiceRecord | undefined, services: readonly ServiceRecord[]): number {
  const inRange = (port: number): boolean => port >= sidecarPorts.first && port <= sidecarPorts.last;
  if (before && inRange(before.Port)) return before.Port;
  const taken = new Set(services.filter((one) => one.ID !== id).map((one) => one.Port));
  for (let port = sidecarPorts.first; port <= sidecarPorts.last; port += 1) {
    if (!taken.has(port)) return port;
  }
  throw new MeshError(
    "invalid",
    `sidecar "${id}": no port of ${sidecarPorts.first} to ${sidecarPorts.last} is free; give Connect.SidecarService a Port`,
  );
}

function instanceRecord(
  input: SidecarInput,
  identity: {
    readonly node: string;
    readonly id: string;
    readonly name: string;
    readonly kind: ServiceRecord["Kind"];
    readonly tokenAccessor: string;
  },
): ServiceRecord {
  return {
    Node: identity.node,
    ID: identity.id,
    Service: identity.name,
    Kind: identity.kind,
    Tags: input.Tags ?? [],
    Meta: input.Meta ?? {},
    Address: input.Address ?? "",
    Port: input.Port ?? 0,
    TaggedAddresses: input.TaggedAddresses ?? {},
    Weights: input.Weights ?? { Passing: 1, Warning: 1 },
    EnableTagOverride: input.EnableTagOverride ?? false,
    TokenAccessor: identity.tokenAccessor,
  };
}

function proxyConfig(proxy: ProxyConfig, kind: ServiceRecord["Kind"]): ProxyConfig {
  if (kind === "mesh-gateway") return proxy;
  return { ...proxy, Upstreams: proxy.Upstreams ?? [] };
}

function checksOf(input: SidecarInput, service: ServiceRecord): readonly CheckRecord[] {
  const own = recordsOfChecks([...(input.Check ? [input.Check] : []), ...(input.Checks ?? [])], service);
  if (service.Kind === "") return own;
  if (own.some((check) => check.CheckID === proxyCheckId(service.ID))) {
    throw new MeshError(
      "invalid",
      `check id "${proxyCheckId(service.ID)}" is the control plane's own; choose another CheckID`,
    );
  }
  return [...own, unconnectedProxyCheck(service)];
}

function kindProblem(input: ServiceInput): string | undefined {
  const kind = input.Kind ?? "";
  switch (kind) {
    case "":
      return input.Proxy
        ? 'Proxy needs Kind "connect-proxy"; for a sidecar write it under Connect.SidecarService'
        : undefined;
    case "connect-proxy":
      if (!input.Proxy?.DestinationServiceName)
        return "a connect-proxy needs Proxy.DestinationServiceName: the service it stands before";
      if (!input.Port) return "a connect-proxy needs a Port from 1 to 65535";
      return input.Connect ? "a connect-proxy cannot have Connect; remove it" : undefined;
    case "mesh-gateway":
      if (!input.Port) return "a mesh-gateway needs a Port from 1 to 65535";
      if (input.Proxy?.DestinationServiceName || input.Proxy?.DestinationServiceID)
        return "a mesh-gateway stands before no service; remove Proxy.DestinationServiceName";
      if (input.Proxy?.Upstreams?.length) return "a mesh-gateway has no upstreams; remove Proxy.Upstreams";
      return input.Connect ? "a mesh-gateway cannot have Connect; remove it" : undefined;
    default:
      return kind satisfies never;
  }
}
