/** A service in Consul's registration format, and the environment of its program. Pure. */
import type { CheckSpec, ServiceRegistrationSpec, UpstreamSpec } from "@isthmus/sdk/spec";
import type { ProxyConfig, Upstream } from "../model/records.ts";
import type { Placement } from "../runtime/runtime.ts";
import type { Props } from "./context.ts";

/** Where an upstream listens. */
function bindAddress(upstream: UpstreamSpec, placement: Placement): string {
  return upstream.localBindAddress ?? placement.local;
}

function upstreamJson(upstream: UpstreamSpec, placement: Placement): Upstream {
  return {
    DestinationType: "service",
    DestinationName: upstream.destinationName,
    ...(upstream.datacenter !== undefined && { Datacenter: upstream.datacenter }),
    LocalBindAddress: bindAddress(upstream, placement),
    LocalBindPort: upstream.localBindPort,
    Config: upstream.config,
    ...(upstream.meshGateway && { MeshGateway: { Mode: upstream.meshGateway.mode } }),
  };
}

/** The sidecar's part of the registration; undefined without a sidecar. */
export function proxyJson(spec: ServiceRegistrationSpec, placement: Placement): ProxyConfig | undefined {
  const sidecar = spec.connect?.sidecarService;
  if (!sidecar) return undefined;
  const { upstreams, meshGateway, config } = sidecar.proxy;
  return {
    LocalServiceAddress: placement.local,
    LocalServicePort: spec.port,
    Config: config,
    Upstreams: upstreams.map((upstream) => upstreamJson(upstream, placement)),
    ...(meshGateway && { MeshGateway: { Mode: meshGateway.mode } }),
  };
}

/** The service's own loopback has another address in each runtime; users call it localhost. */
function localTarget(target: string, local: string): string {
  return target.replace(
    /^(http:\/\/)?(localhost|127\.0\.0\.1)(?=[:/]|$)/,
    (_, scheme: string | undefined) => `${scheme ?? ""}${local}`,
  );
}

function checkJson(check: CheckSpec, index: number, service: string, local: string): Props {
  return {
    CheckID: `service:${service}:${index + 1}`,
    Name: check.name ?? `Service '${service}' check`,
    ...(check.tcp !== undefined && { TCP: localTarget(check.tcp, local) }),
    ...(check.http !== undefined && { HTTP: localTarget(check.http, local) }),
    ...(check.method !== undefined && { Method: check.method }),
    ...(check.ttl !== undefined && { TTL: check.ttl }),
    ...(check.interval !== undefined && { Interval: check.interval }),
    ...(check.timeout !== undefined && { Timeout: check.timeout }),
  };
}

function addresses(placement: Placement, port: number): Props {
  return {
    Address: placement.lan,
    TaggedAddresses: {
      lan: { Address: placement.lan, Port: port },
      ...(placement.wan !== undefined && { wan: { Address: placement.wan, Port: port } }),
    },
  };
}

/** The body of a registration. Without a placement there is no unit: somebody else runs the service. */
export function serviceJson(spec: ServiceRegistrationSpec, placement: Placement | undefined): Props {
  const sidecar = spec.connect?.sidecarService;
  const proxy = placement && proxyJson(spec, placement);
  return {
    ID: spec.name,
    Name: spec.name,
    Port: spec.port,
    Tags: spec.tags,
    Meta: spec.meta,
    Checks: spec.checks.map((check, index) => checkJson(check, index, spec.name, placement?.local ?? "127.0.0.1")),
    ...(placement && addresses(placement, spec.port)),
    ...(placement &&
      sidecar && {
        Connect: { SidecarService: { Port: sidecar.port, ...addresses(placement, sidecar.port), Proxy: proxy } },
      }),
  };
}

/** `ISTHMUS_UPSTREAM_<NAME>`: letters in upper case, anything but letters and digits as `_`. */
function upstreamVariable(name: string): string {
  return `ISTHMUS_UPSTREAM_${name.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
}

/** The program's environment: the user's, and where to listen and to dial. Of two upstreams of one name the first is told. */
export function programEnv(spec: ServiceRegistrationSpec, placement: Placement): Readonly<Record<string, string>> {
  const upstreams = spec.connect?.sidecarService?.proxy.upstreams ?? [];
  const dialled = upstreams.map((upstream) => [
    upstreamVariable(upstream.destinationName),
    `${bindAddress(upstream, placement)}:${upstream.localBindPort}`,
  ]);
  return {
    ...spec.run?.env,
    ...Object.fromEntries(dialled.reverse()),
    ISTHMUS_SERVICE_ADDRESS: placement.local,
    ISTHMUS_SERVICE_PORT: String(spec.port),
    ISTHMUS_DIRECTORY: `${placement.directory}/app`,
  };
}
