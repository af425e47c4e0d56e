/**
 * Everything one proxy's Envoy resources are made of, already resolved: modes, endpoints, identities. The control plane
 * computes it from the store; `xds/` turns it into resources. Plain readonly data, lists sorted, so equal snapshots give
 * equal bytes.
 */

/** One address Envoy dials. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly healthy: boolean;
}

/** A leaf (own certificate first, then the intermediates) with its key, PEM. */
export interface LeafCertificate {
  readonly chain: string;
  readonly privateKey: string;
}

/**
 * Who may call a destination, by the caller's service name, already decided by precedence: names with a decision of
 * their own, and what holds for every other name.
 */
export interface CallerDecisions {
  /** Sorted by name. */
  readonly named: readonly { readonly service: string; readonly allow: boolean }[];
  readonly others: "allow" | "deny";
}

/** One local upstream listener of a sidecar and the cluster behind it. */
export interface UpstreamSnapshot {
  readonly service: string;
  readonly datacenter: string;
  readonly bindAddress: string;
  readonly bindPort: number;
  readonly protocol: "tcp";
  readonly connectTimeoutMs: number;
  /** How often this pair went from allowed to denied: when it grows, the pair's open connections end. */
  readonly denials: number;
  /** Sidecars of the service (mode none or same datacenter) or gateways (local: ours at LAN address, remote: theirs at WAN address). */
  readonly endpoints: readonly Endpoint[];
}

/** A check that the service's own sidecar runs and reports over HDS. Address is a literal IP. */
export interface ProxyCheck {
  readonly checkId: string;
  readonly address: string;
  readonly port: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly http?: { readonly host: string; readonly path: string; readonly method: string };
}

export interface SidecarSnapshot {
  readonly kind: "connect-proxy";
  readonly proxyId: string;
  readonly service: string;
  readonly datacenter: string;
  readonly trustDomain: string;
  readonly publicListener: { readonly address: string; readonly port: number };
  readonly localApp: { readonly address: string; readonly port: number; readonly connectTimeoutMs: number };
  readonly leaf: LeafCertificate;
  /** Roots of the Connect CA, PEM, sorted. */
  readonly roots: readonly string[];
  readonly callers: CallerDecisions;
  /** Sorted by bind address and port. */
  readonly upstreams: readonly UpstreamSnapshot[];
  readonly checks: readonly ProxyCheck[];
}

export interface MeshGatewaySnapshot {
  readonly kind: "mesh-gateway";
  readonly proxyId: string;
  readonly datacenter: string;
  readonly trustDomain: string;
  /** Sorted by name: `default`, `lan`, `wan` or a name from `envoy_gateway_bind_addresses`. */
  readonly listeners: readonly { readonly name: string; readonly address: string; readonly port: number }[];
  readonly connectTimeoutMs: number;
  /** Own services that have sidecars, sorted by name, with the sidecars' LAN addresses. */
  readonly services: readonly { readonly service: string; readonly endpoints: readonly Endpoint[] }[];
  /** Other datacenters, sorted by name, with their gateways' WAN addresses. */
  readonly remotes: readonly { readonly datacenter: string; readonly endpoints: readonly Endpoint[] }[];
  readonly checks: readonly ProxyCheck[];
}

export type ProxySnapshot = SidecarSnapshot | MeshGatewaySnapshot;

/** An Envoy resource in the form that goes on the wire. Made once, shared by every stream. */
export interface EncodedResource {
  readonly typeUrl: string;
  readonly name: string;
  /** Hash of the bytes: the same after a restart of the control plane. */
  readonly version: string;
  /** An encoded `envoy.service.discovery.v3.Resource` (name, version, Any). */
  readonly bytes: Uint8Array;
}

/** A proxy's resources: type URL to name to resource. */
export type ResourceSet = ReadonlyMap<string, ReadonlyMap<string, EncodedResource>>;

/** What a proxy's bootstrap needs to reach its control plane. */
export interface BootstrapInput {
  readonly proxyId: string;
  readonly service: string;
  readonly kind: "connect-proxy" | "mesh-gateway";
  readonly datacenter: string;
  /** Where xDS is served and the name on its certificate. */
  readonly controlPlane: { readonly address: string; readonly port: number; readonly serverName: string };
  /** Control CA root, PEM: the only one that the proxy accepts for its control plane. */
  readonly controlRoot: string;
  /** Path of the SDS file that holds the client certificate and key; its folder is watched. */
  readonly identityFile: string;
  /** Path of the admin socket. */
  readonly adminSocket: string;
}
