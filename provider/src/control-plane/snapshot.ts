/** From the catalog to one proxy's snapshot. Pure: everything is read through a reader that may note what was read. */
import { bestAddress } from "../catalog/health.ts";
import { callerDecisions, isAllowed } from "../model/intention.ts";
import { resolveMeshGatewayMode } from "../model/mesh-gateway-mode.ts";
import type {
  CallerDecisions,
  Endpoint,
  MeshGatewaySnapshot,
  ProxyCheck,
  ProxySnapshot,
  SidecarSnapshot,
  UpstreamSnapshot,
} from "../model/proxy-snapshot.ts";
import type {
  CheckRecord,
  CheckStatus,
  ConfigEntry,
  ImportedServiceRecord,
  LeafRecord,
  ServiceRecord,
  Upstream,
} from "../model/records.ts";
import type { Pair } from "./denials.ts";
import { proxyChecks } from "./proxy-checks.ts";

/** What a snapshot is made of. The control plane's reader notes each call as a topic that the proxy depends on. */
export interface CatalogReader {
  readonly datacenter: string;
  readonly trustDomain: string;
  readonly defaultPolicy: "allow" | "deny";
  readonly centralConfig: boolean;
  sidecarsOf(service: string): readonly ServiceRecord[];
  meshServices(): readonly string[];
  gateways(): readonly ServiceRecord[];
  status(instance: ServiceRecord): CheckStatus;
  checksOf(instance: ServiceRecord): readonly CheckRecord[];
  config<K extends ConfigEntry["Kind"]>(kind: K, name: string): Extract<ConfigEntry, { Kind: K }> | undefined;
  imported(datacenter: string, service: string): ImportedServiceRecord | undefined;
  gatewaysOf(datacenter: string): readonly ImportedServiceRecord[];
  otherDatacenters(): readonly string[];
  leaf(service: string): LeafRecord | undefined;
  /** How often the pair went from allowed to denied, this time included. */
  denials(pair: Pair, allowed: boolean): number;
  roots(): readonly string[];
}

/** A snapshot with remarks in words for `status`; no snapshot while something that it cannot do without is missing. */
export interface SnapshotResult {
  readonly snapshot?: ProxySnapshot;
  readonly warnings: readonly string[];
}

/** Default of `connect_timeout_ms`. */
const defaultConnectTimeoutMs = 5000;

export function snapshotOf(proxy: ServiceRecord, reader: CatalogReader): SnapshotResult {
  return proxy.Kind === "mesh-gateway" ? gatewaySnapshot(proxy, reader) : sidecarSnapshot(proxy, reader);
}

function sidecarSnapshot(proxy: ServiceRecord, reader: CatalogReader): SnapshotResult {
  const config = proxy.Proxy ?? {};
  const service = config.DestinationServiceName ?? "";
  const leaf = reader.leaf(service);
  const roots = reader.roots();
  if (!leaf || roots.length === 0) return { warnings: [`waiting for a certificate for service "${service}"`] };
  const warnings: string[] = [];
  const upstreams = (config.Upstreams ?? [])
    .map((upstream) => upstreamSnapshot(proxy, upstream, reader, warnings))
    .sort((a, b) =>
      a.bindAddress === b.bindAddress ? a.bindPort - b.bindPort : a.bindAddress < b.bindAddress ? -1 : 1,
    );
  const snapshot: SidecarSnapshot = {
    kind: "connect-proxy",
    proxyId: proxy.ID,
    service,
    datacenter: reader.datacenter,
    trustDomain: reader.trustDomain,
    publicListener: { address: proxy.Address, port: proxy.Port },
    localApp: {
      address: config.LocalServiceAddress ?? "127.0.0.1",
      port: config.LocalServicePort ?? 0,
      connectTimeoutMs: numberOption(config.Config, "local_connect_timeout_ms") ?? defaultConnectTimeoutMs,
    },
    leaf: { chain: leaf.Chain.join(""), privateKey: leaf.PrivateKey },
    roots,
    callers: callersOf(service, reader),
    upstreams,
    checks: checks(proxy, reader),
  };
  return { snapshot, warnings };
}

function callersOf(service: string, reader: CatalogReader): CallerDecisions {
  const exact = reader.config("service-intentions", service);
  return callerDecisions(exact, reader.config("service-intentions", "*"), reader.defaultPolicy);
}

function upstreamSnapshot(
  proxy: ServiceRecord,
  upstream: Upstream,
  reader: CatalogReader,
  warnings: string[],
): UpstreamSnapshot {
  const service = upstream.DestinationName;
  const datacenter = upstream.Datacenter || reader.datacenter;
  const config = proxy.Proxy ?? {};
  const own = reader.centralConfig ? reader.config("service-defaults", config.DestinationServiceName ?? "") : undefined;
  const override = own?.UpstreamConfig?.Overrides?.find((one) => one.Name === service);
  const remote = datacenter !== reader.datacenter;
  const known = remote ? reader.imported(datacenter, service)?.Instances.length : reader.sidecarsOf(service).length;
  if (!known) warnings.push(`upstream "${service}" in "${datacenter}": no instance is known; register it there`);
  const endpoints = remote
    ? remoteEndpoints(proxy, upstream, datacenter, reader, own, warnings)
    : localEndpoints(service, reader);
  const source = config.DestinationServiceName ?? "";
  const allowed = isAllowed(callersOf(service, reader), source);
  return {
    service,
    datacenter,
    denials: reader.denials({ source, destination: service, datacenter }, allowed),
    bindAddress: upstream.LocalBindAddress ?? "127.0.0.1",
    bindPort: upstream.LocalBindPort,
    protocol: "tcp",
    connectTimeoutMs:
      numberOption(upstream.Config, "connect_timeout_ms") ??
      override?.ConnectTimeoutMs ??
      own?.UpstreamConfig?.Defaults?.ConnectTimeoutMs ??
      defaultConnectTimeoutMs,
    endpoints,
  };
}

function localEndpoints(service: string, reader: CatalogReader): Endpoint[] {
  return reader
    .sidecarsOf(service)
    .map((instance) => endpoint(bestAddress(instance, undefined, "lan"), reader.status(instance) !== "critical"));
}

function remoteEndpoints(
  proxy: ServiceRecord,
  upstream: Upstream,
  datacenter: string,
  reader: CatalogReader,
  own: Extract<ConfigEntry, { Kind: "service-defaults" }> | undefined,
  warnings: string[],
): Endpoint[] {
  const service = upstream.DestinationName;
  const instances = reader.imported(datacenter, service)?.Instances ?? [];
  const mode = resolveMeshGatewayMode({
    proxyDefaults: reader.centralConfig ? reader.config("proxy-defaults", "global") : undefined,
    serviceDefaults: own,
    destinationDefaults: reader.centralConfig ? reader.config("service-defaults", service) : undefined,
    proxy: proxy.Proxy ?? {},
    upstream,
  });
  if (mode === "none")
    return sortEndpoints(
      instances.map((one) => endpoint(bestAddress(one.Service, undefined, "wan"), one.Status !== "critical")),
    );
  // One healthy instance makes every healthy gateway a way to it; a gateway that fails its own checks is none (consul#15703).
  const reachable = instances.some((one) => one.Status !== "critical");
  const gateways =
    mode === "local"
      ? reader
          .gateways()
          .map((one) => ({ address: bestAddress(one, undefined, "lan"), healthy: reader.status(one) !== "critical" }))
      : remoteGateways(datacenter, reader);
  if (gateways.length === 0) {
    const place = mode === "local" ? reader.datacenter : datacenter;
    warnings.push(
      `upstream "${service}" in "${datacenter}" has mode "${mode}" and datacenter "${place}" has no mesh gateway`,
    );
  }
  return sortEndpoints(gateways.map((one) => endpoint(one.address, one.healthy && reachable)));
}

function gatewaySnapshot(proxy: ServiceRecord, reader: CatalogReader): SnapshotResult {
  const config = proxy.Proxy?.Config;
  const snapshot: MeshGatewaySnapshot = {
    kind: "mesh-gateway",
    proxyId: proxy.ID,
    datacenter: reader.datacenter,
    trustDomain: reader.trustDomain,
    listeners: gatewayListeners(proxy),
    connectTimeoutMs: numberOption(config, "connect_timeout_ms") ?? defaultConnectTimeoutMs,
    services: reader.meshServices().map((service) => ({ service, endpoints: localEndpoints(service, reader) })),
    remotes: reader.otherDatacenters().map((datacenter) => ({
      datacenter,
      endpoints: sortEndpoints(remoteGateways(datacenter, reader).map((one) => endpoint(one.address, one.healthy))),
    })),
    checks: checks(proxy, reader),
  };
  return { snapshot, warnings: [] };
}

/**
 * The default listener at the gateway's address, one at every address of `envoy_gateway_bind_addresses`, and with
 * `envoy_gateway_bind_tagged_addresses` one at every tagged address.
 */
function gatewayListeners(proxy: ServiceRecord): MeshGatewaySnapshot["listeners"] {
  const config = proxy.Proxy?.Config ?? {};
  const tagged = config["envoy_gateway_bind_tagged_addresses"] === true ? Object.entries(proxy.TaggedAddresses) : [];
  const extra = Object.entries((config["envoy_gateway_bind_addresses"] ?? {}) as Readonly<Record<string, unknown>>);
  const bound = new Map([
    [`${proxy.Address}:${proxy.Port}`, { name: "default", address: proxy.Address, port: proxy.Port }],
  ]);
  for (const [name, at] of [
    ...tagged.map(([name, { Address, Port }]) => [name, { address: Address, port: Port }] as const),
    ...extra,
  ]) {
    const { address, port } = at as { readonly address?: unknown; readonly port?: unknown };
    if (typeof address !== "string" || typeof port !== "number" || !isIpAddress(address)) continue;
    if (!bound.has(`${address}:${port}`)) bound.set(`${address}:${port}`, { name, address, port });
  }
  return [...bound.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function remoteGateways(
  datacenter: string,
  reader: CatalogReader,
): { address: { Address: string; Port: number }; healthy: boolean }[] {
  return reader.gatewaysOf(datacenter).flatMap((gateway) =>
    gateway.Instances.map((one) => ({
      address: bestAddress(one.Service, undefined, "wan"),
      healthy: one.Status !== "critical",
    })),
  );
}

function checks(proxy: ServiceRecord, reader: CatalogReader): readonly ProxyCheck[] {
  return proxyChecks(reader.checksOf(proxy));
}

function endpoint(at: { readonly Address: string; readonly Port: number }, healthy: boolean): Endpoint {
  return { address: at.Address, port: at.Port, healthy };
}

function sortEndpoints(endpoints: Endpoint[]): Endpoint[] {
  return endpoints.sort((a, b) => (a.address === b.address ? a.port - b.port : a.address < b.address ? -1 : 1));
}

function isIpAddress(text: string): boolean {
  return /^[0-9.]+$/.test(text) || text.includes(":");
}

function numberOption(config: Readonly<Record<string, unknown>> | undefined, key: string): number | undefined {
  const value = config?.[key];
  return typeof value === "number" && value > 0 ? value : undefined;
}
