/** What the HTTP API needs of the rest of the control plane; the composition root brings it. */
import type { Clock } from "../../catalog/deadlines.ts";
import type { Authorizer } from "../../model/authorizer.ts";
import type {
  IdentityRequest,
  IdentityResponse,
  JoinResponse,
  ProxyStatus,
  StatusResponse,
} from "../../model/isthmus-api.ts";
import type { CaRootRecord, LeafRecord, NodeRecord } from "../../model/records.ts";
import type { Store, Stored } from "../../store/store.ts";

/** Something outside the store that blocking queries can wait on. */
export interface Watchable {
  /** Grows with every change. Start it at the time in milliseconds, so that it also grows over a restart. */
  readonly index: number;
  /** @returns the way to stop. */
  subscribe(listener: () => void): () => void;
}

/** Writes of policies and tokens, from bodies as they came; permissions were checked before. All throw MeshError. */
export interface AclOperations {
  /** @throws {MeshError} `permission_denied` when it was done before. */
  bootstrap(body: unknown): Promise<Stored<"acl-token">>;
  createPolicy(body: unknown): Promise<Stored<"acl-policy">>;
  updatePolicy(id: string, body: unknown): Promise<Stored<"acl-policy">>;
  deletePolicy(id: string): Promise<void>;
  createToken(body: unknown): Promise<Stored<"acl-token">>;
  updateToken(accessor: string, body: unknown): Promise<Stored<"acl-token">>;
  /** @param by accessor of the caller, who cannot delete the token that it came with. */
  deleteToken(accessor: string, by: string): Promise<void>;
}

export interface Acl {
  readonly enabled: boolean;
  readonly defaultPolicy: "allow" | "deny";
  /** Undefined is the anonymous token. @throws {MeshError} `unauthenticated` for an unknown secret. */
  resolve(secret: string | undefined): Authorizer;
  /** Who comes by the control plane's own Unix socket: may do everything. */
  readonly operator: Authorizer;
  readonly operations: AclOperations;
}

export interface ConnectCa {
  /** The active root first. */
  roots(): readonly CaRootRecord[];
  /** The service's current leaf, issued if there is none. */
  leaf(service: string): Promise<LeafRecord>;
  /** `Config` of `/v1/connect/ca/configuration`, without keys. */
  configuration(): Readonly<Record<string, unknown>>;
}

/** A request on its way to another datacenter. */
export interface ForwardRequest {
  readonly method: string;
  readonly path: string;
  /** With the leading `?`, or empty. */
  readonly query: string;
  /** Secret of the caller; undefined for the anonymous token and the operator. */
  readonly token: string | undefined;
  /** The caller came by the Unix socket. The other datacenter owes it nothing: what it may do there is the forwarder's to decide. */
  readonly operator: boolean;
  readonly body: Uint8Array;
}

export interface ForwardResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Present in a secondary: the way to the primary. */
export interface PrimaryLink {
  /** @throws {MeshError} `unavailable` when the primary does not answer. */
  forward(request: ForwardRequest): Promise<ForwardResponse>;
  /** Resolves when this store holds everything up to the primary's index. @throws {MeshError} `unavailable` when that takes too long. */
  awaitReplicated(primaryIndex: number): Promise<void>;
}

/** Proxies as their streams show them. */
export interface Proxies extends Watchable {
  list(): readonly ProxyStatus[];
  /** Signs a proxy's client key and writes its bootstrap; permissions were checked before. */
  issueIdentity(proxyId: string, request: IdentityRequest, tokenAccessor: string): Promise<IdentityResponse>;
}

/** One figure of `/v1/agent/metrics`. */
export interface Gauge {
  /** `isthmus.proxies.connected` */
  readonly name: string;
  readonly help: string;
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Where the API writes what happened; never a secret, never a body. */
export interface ApiLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface ApiDependencies {
  readonly store: Store;
  readonly datacenter: string;
  readonly primaryDatacenter: string;
  readonly version: string;
  /** The control plane's own node: everything under `/v1/agent/` sits on it. */
  readonly node: NodeRecord;
  /** host:port of the control plane's federation link, shown as the leader. */
  readonly serverAddress: string;
  readonly trustDomain: () => string;
  readonly acl: Acl;
  readonly connectCa: ConnectCa;
  /** Absent in the primary. */
  readonly primary?: PrimaryLink;
  readonly proxies: Proxies;
  readonly status: Watchable & { readonly response: () => StatusResponse };
  readonly join: () => JoinResponse;
  /**
   * Forgets a datacenter that is gone for good; absence is success. Absent in a secondary, whose primary does it.
   * @throws {MeshError} `conflict` while that datacenter is connected, `invalid` for the primary itself.
   */
  readonly forgetDatacenter?: (name: string) => Promise<void>;
  /** Told of every report on a TTL check. */
  readonly ttl: { readonly refresh: (checkKey: string) => void };
  readonly gauges: () => readonly Gauge[];
  readonly clock: Clock;
  readonly uuid: () => string;
  readonly log: ApiLog;
}
