/** JSON of what Consul has no path for: everything under `/v1/isthmus/`. Field names follow Consul's style. */

/** `GET /v1/isthmus/status` (blocks with index and wait like every read). */
export interface StatusResponse {
  readonly Datacenter: string;
  readonly PrimaryDatacenter: string;
  readonly Version: string;
  readonly TrustDomain: string;
  /** `routed` when services may be dialled from other datacenters directly; absent means `isolated`. */
  readonly Network?: "isolated" | "routed";
  readonly Ready: boolean;
  /** What is still missing, in words; empty when Ready. */
  readonly Waiting: readonly string[];
  readonly Datacenters: readonly { readonly Name: string; readonly Primary: boolean; readonly Gateways: number }[];
  /** Absent in the primary. */
  readonly Replication?: {
    readonly SourceDatacenter: string;
    readonly Connected: boolean;
    readonly ReplicatedIndex: number;
    readonly LastSuccess: string;
    readonly LastError: string;
  };
}

/** One entry of `GET /v1/isthmus/proxies`, or `GET /v1/isthmus/proxies/<id>`. */
export interface ProxyStatus {
  readonly ProxyID: string;
  readonly Service: string;
  readonly Kind: "connect-proxy" | "mesh-gateway";
  readonly Connected: boolean;
  /** Connected and every resource of its current set acknowledged. */
  readonly Ready: boolean;
  /** Remarks on its configuration, in words: a mode with no gateway, an upstream that no datacenter has. */
  readonly Warnings: readonly string[];
  readonly Types: readonly {
    readonly TypeUrl: string;
    readonly State: "pending" | "acked" | "nacked";
    readonly At: string;
    readonly Error?: string;
  }[];
  readonly Certificate?: { readonly Serial: string; readonly NotAfter: string };
}

/** `PUT /v1/isthmus/proxies/<id>/identity`: signs the proxy's client key; the token needs service:write on its service. */
export interface IdentityRequest {
  /** SPKI PEM, ECDSA P-256. */
  readonly PublicKey: string;
  /** Where the proxy finds its files; written into the bootstrap. */
  readonly IdentityFile: string;
  readonly AdminSocket: string;
}

export interface IdentityResponse {
  /** PEM: own certificate first. */
  readonly CertificateChain: string;
  readonly NotAfter: string;
  /** Envoy's bootstrap, JSON. */
  readonly Bootstrap: unknown;
}

/** `GET /v1/isthmus/join`: what a secondary's provider needs to write its configuration (management only). */
export interface JoinResponse {
  readonly Datacenter: string;
  /** Control CA root of this datacenter, PEM, to be pinned. */
  readonly ControlRoot: string;
  /** host:port of the federation link. */
  readonly Address: string;
}

/**
 * The control plane's configuration file (`config.json` beside its database, mode 0600). Written by the provider,
 * read once at start.
 */
export interface ControlPlaneConfig {
  readonly mesh: string;
  readonly datacenter: string;
  readonly primaryDatacenter: string;
  /** Present in a secondary. */
  readonly join?: { readonly address: string; readonly controlRoot: string; readonly token: string };
  /** Addresses that every TLS port binds to. */
  readonly bind: readonly string[];
  /** Address that proxies of this datacenter dial. */
  readonly lanAddress: string;
  /** Address that other datacenters dial. */
  readonly wanAddress: string;
  /** `grpcTls` -1: no xDS server. */
  readonly ports: { readonly https: number; readonly grpcTls: number; readonly server: number };
  readonly connect: { readonly enabled: boolean };
  readonly enableCentralServiceConfig: boolean;
  /** What status shows as Network. Default `isolated`. */
  readonly network?: "isolated" | "routed";
  readonly acl: { readonly enabled: boolean; readonly defaultPolicy: "allow" | "deny" };
  /** Durations in seconds. */
  readonly ca: {
    readonly leafTtlSeconds: number;
    readonly intermediateTtlSeconds: number;
    readonly rootTtlSeconds: number;
  };
}
