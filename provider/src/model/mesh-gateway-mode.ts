/** Which mesh gateway mode an upstream uses: the levels at which it can be set, strongest last. Pure. */
import type { MeshGatewayMode, ProxyConfig, ProxyDefaultsEntry, ServiceDefaultsEntry, Upstream } from "./records.ts";

/** Where a mode can be set for one upstream of one proxy. */
export interface ModeSources {
  readonly proxyDefaults: ProxyDefaultsEntry | undefined;
  /** service-defaults of the service that dials. */
  readonly serviceDefaults: ServiceDefaultsEntry | undefined;
  /** service-defaults of the destination: used only when the dialling side says nothing. */
  readonly destinationDefaults: ServiceDefaultsEntry | undefined;
  readonly proxy: ProxyConfig;
  readonly upstream: Upstream;
}

/**
 * Consul's six levels (agent/configentry/resolve.go), weakest first: proxy-defaults, service-defaults,
 * UpstreamConfig.Defaults, the proxy's registration, UpstreamConfig.Overrides, the upstream itself. An empty mode
 * inherits; nothing at all is `none`.
 */
export function resolveMeshGatewayMode(sources: ModeSources): Exclude<MeshGatewayMode, ""> {
  const { proxyDefaults, serviceDefaults, destinationDefaults, proxy, upstream } = sources;
  const override = serviceDefaults?.UpstreamConfig?.Overrides?.find((one) => one.Name === upstream.DestinationName);
  const strongestFirst = [
    upstream.MeshGateway,
    override?.MeshGateway,
    proxy.MeshGateway,
    serviceDefaults?.UpstreamConfig?.Defaults?.MeshGateway,
    serviceDefaults?.MeshGateway,
    proxyDefaults?.MeshGateway,
    destinationDefaults?.MeshGateway,
  ];
  for (const level of strongestFirst) {
    if (level?.Mode) return level.Mode;
  }
  return "none";
}
