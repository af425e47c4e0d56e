/**
 * What a control plane keeps: the record kinds of the store and the shape of each. Field names are those of Consul's
 * JSON, so that one shape goes from the HTTP API to the store, to other datacenters and back. Plain readonly data.
 */

export type MeshGatewayMode = "" | "none" | "local" | "remote";
export type CheckStatus = "passing" | "warning" | "critical";
export type ServiceKind = "" | "connect-proxy" | "mesh-gateway";

export interface Address {
  readonly Address: string;
  readonly Port: number;
}

export interface Upstream {
  readonly DestinationType: "service";
  readonly DestinationName: string;
  readonly DestinationNamespace?: string;
  /** Empty or absent: the proxy's own datacenter. */
  readonly Datacenter?: string;
  readonly LocalBindAddress?: string;
  readonly LocalBindPort: number;
  readonly Config?: Readonly<Record<string, unknown>>;
  readonly MeshGateway?: { readonly Mode?: MeshGatewayMode };
}

export interface ProxyConfig {
  readonly DestinationServiceName?: string;
  readonly DestinationServiceID?: string;
  readonly LocalServiceAddress?: string;
  readonly LocalServicePort?: number;
  readonly Config?: Readonly<Record<string, unknown>>;
  readonly Upstreams?: readonly Upstream[];
  readonly MeshGateway?: { readonly Mode?: MeshGatewayMode };
}

/** A node: a name and an address. Everything registered through `/v1/agent/*` sits on the control plane's own node. */
export interface NodeRecord {
  readonly Node: string;
  readonly ID: string;
  readonly Address: string;
  readonly Datacenter: string;
  readonly TaggedAddresses?: Readonly<Record<string, string>>;
  readonly Meta?: Readonly<Record<string, string>>;
}

/** An instance of a service, a sidecar or a gateway. */
export interface ServiceRecord {
  readonly Node: string;
  readonly ID: string;
  readonly Service: string;
  readonly Kind: ServiceKind;
  readonly Tags: readonly string[];
  readonly Meta: Readonly<Record<string, string>>;
  readonly Address: string;
  readonly Port: number;
  /** Keys `lan` and `wan`, and any other name. */
  readonly TaggedAddresses: Readonly<Record<string, Address>>;
  readonly Weights: { readonly Passing: number; readonly Warning: number };
  readonly EnableTagOverride: boolean;
  readonly Proxy?: ProxyConfig;
  /** Accessor of the token that it was registered with; its proxy lives as long as that token does. */
  readonly TokenAccessor?: string;
  /** The service instance whose `Connect.SidecarService` made this one. */
  readonly SidecarOf?: string;
}

/** How a check is run. Exactly one of TCP, HTTP, TTL is set; durations are Go's (`10s`). */
export interface CheckDefinition {
  readonly TCP?: string;
  readonly HTTP?: string;
  readonly Method?: string;
  readonly Header?: Readonly<Record<string, readonly string[]>>;
  readonly TTL?: string;
  readonly Interval?: string;
  readonly Timeout?: string;
  readonly DeregisterCriticalServiceAfter?: string;
  readonly AliasService?: string;
}

export interface CheckRecord {
  readonly Node: string;
  readonly CheckID: string;
  readonly Name: string;
  readonly Status: CheckStatus;
  readonly Notes: string;
  readonly Output: string;
  /** Empty for a check of the node. */
  readonly ServiceID: string;
  readonly ServiceName: string;
  /** `external`: reported through the catalog, run by nobody here. */
  readonly Type: "tcp" | "http" | "ttl" | "alias" | "proxy" | "maintenance" | "external";
  readonly Definition: CheckDefinition;
}

interface ConfigEntryBase {
  readonly Name: string;
  readonly Meta?: Readonly<Record<string, string>>;
}

export interface ProxyDefaultsEntry extends ConfigEntryBase {
  readonly Kind: "proxy-defaults";
  readonly Config?: Readonly<Record<string, unknown>>;
  readonly MeshGateway?: { readonly Mode?: MeshGatewayMode };
}

export interface UpstreamDefaults {
  readonly Name?: string;
  readonly MeshGateway?: { readonly Mode?: MeshGatewayMode };
  readonly ConnectTimeoutMs?: number;
  readonly Protocol?: string;
}

export interface ServiceDefaultsEntry extends ConfigEntryBase {
  readonly Kind: "service-defaults";
  readonly Protocol?: string;
  readonly MeshGateway?: { readonly Mode?: MeshGatewayMode };
  readonly UpstreamConfig?: { readonly Defaults?: UpstreamDefaults; readonly Overrides?: readonly UpstreamDefaults[] };
  readonly MaxInboundConnections?: number;
  readonly LocalConnectTimeoutMs?: number;
}

export interface IntentionSource {
  readonly Name: string;
  readonly Action: "allow" | "deny";
  readonly Description?: string;
  readonly Type?: "consul";
  /** Read-only: 9, 8, 6 or 5. */
  readonly Precedence?: number;
  readonly LegacyID?: string;
}

/** Intentions of one destination (`*` for every service). `/v1/connect/intentions*` is a view of these. */
export interface ServiceIntentionsEntry extends ConfigEntryBase {
  readonly Kind: "service-intentions";
  readonly Sources: readonly IntentionSource[];
}

export type ConfigEntry = ProxyDefaultsEntry | ServiceDefaultsEntry | ServiceIntentionsEntry;

export interface AclPolicyRecord {
  readonly ID: string;
  readonly Name: string;
  readonly Description: string;
  /** HCL or JSON, as written. */
  readonly Rules: string;
  readonly Datacenters?: readonly string[];
}

export interface AclTokenRecord {
  readonly AccessorID: string;
  readonly SecretID: string;
  readonly Description: string;
  readonly Policies: readonly { readonly ID: string; readonly Name: string }[];
  readonly ServiceIdentities: readonly { readonly ServiceName: string; readonly Datacenters?: readonly string[] }[];
  readonly NodeIdentities: readonly { readonly NodeName: string; readonly Datacenter: string }[];
  /** Known in this datacenter only; not replicated. */
  readonly Local: boolean;
  readonly CreateTime: string;
}

/** A root certificate of the Connect CA and the intermediates this datacenter ships with its leaves. Public. */
export interface CaRootRecord {
  readonly ID: string;
  readonly Name: string;
  readonly RootCert: string;
  readonly IntermediateCerts: readonly string[];
  readonly Active: boolean;
  readonly SigningKeyID: string;
  readonly NotBefore: string;
  readonly NotAfter: string;
  /** Uuid; the trust domain is `<cluster id>.consul`. */
  readonly ExternalTrustDomain: string;
  readonly PrivateKeyType: string;
  readonly PrivateKeyBits: number;
}

/** A signer of this control plane: certificate chain (own first) and key, PEM. Never replicated. */
export interface SignerRecord {
  readonly Chain: readonly string[];
  readonly PrivateKey: string;
}

/** A service's current leaf and key, PEM, kept so that a restart re-sends nothing. Never replicated. */
export interface LeafRecord {
  readonly Service: string;
  readonly SerialNumber: string;
  readonly Chain: readonly string[];
  readonly PrivateKey: string;
  readonly RootID: string;
  readonly NotBefore: string;
  readonly NotAfter: string;
}

/** A proxy's client certificate for this control plane: who may open its xDS stream. */
export interface ProxyIdentityRecord {
  /** SHA-256 of the DER, `AA:BB:…`, as Node's `fingerprint256`. */
  readonly Fingerprint: string;
  /** Service id of the sidecar or gateway. */
  readonly ProxyID: string;
  readonly TokenAccessor: string;
  readonly NotAfter: string;
}

/** What another datacenter lets us know of itself: one record a service name, instances with health. */
export interface ImportedServiceRecord {
  readonly Datacenter: string;
  readonly Service: string;
  readonly Kind: ServiceKind;
  readonly Instances: readonly { readonly Service: ServiceRecord; readonly Status: CheckStatus }[];
}

/** A datacenter of the federation, ours included, as it announced itself. */
export interface DatacenterRecord {
  readonly Name: string;
  readonly Primary: boolean;
  /** host:port of its federation link, for those that dial it. */
  readonly Address: string;
}

/** Every kind of record and its shape. The comment gives the key. */
export interface Records {
  /** Node */
  readonly node: NodeRecord;
  /** `${Node}/${ID}` */
  readonly service: ServiceRecord;
  /** `${Node}/${CheckID}` */
  readonly check: CheckRecord;
  /** `${Kind}/${Name}`; replicated from the primary */
  readonly "config-entry": ConfigEntry;
  /** ID; replicated */
  readonly "acl-policy": AclPolicyRecord;
  /** AccessorID; replicated unless Local */
  readonly "acl-token": AclTokenRecord;
  /** ID; replicated */
  readonly "ca-root": CaRootRecord;
  /** `connect-root` (primary only), `connect-intermediate` (secondary only), `control` */
  readonly signer: SignerRecord;
  /** service name */
  readonly leaf: LeafRecord;
  /** Fingerprint */
  readonly "proxy-identity": ProxyIdentityRecord;
  /** `${Datacenter}/${Service}` */
  readonly "imported-service": ImportedServiceRecord;
  /** Name */
  readonly datacenter: DatacenterRecord;
  /** free key; small facts: `cluster-id`, `acl-bootstrap`, `replication` */
  readonly fact: { readonly Value: string };
}

export type RecordKind = keyof Records;
