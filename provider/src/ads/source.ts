/** What the ADS and HDS servers need of the control plane; the composition root implements it. */
import type { ProxyCheck, ResourceSet } from "../model/proxy-snapshot.ts";

/** The client's side of a TLS stream. */
export interface Peer {
  /** `AA:BB:…`, SHA-256 of the client certificate's DER. */
  readonly fingerprint256: string;
  /** URI SANs of the client certificate. */
  readonly uris: readonly string[];
}

/** Who may open a stream. */
export interface Authenticator {
  /**
   * The proxy that the peer is.
   * @throws {MeshError} `unauthenticated` for an unknown certificate, `permission_denied` when it is not nodeId's or its token is gone.
   */
  authenticate(peer: Peer, nodeId: string): string;
  /** Calls the listener when a proxy's right ends; its streams are to be cut within a second. @returns the way to stop. */
  onRevoked(listener: (proxyId: string) => void): () => void;
}

/** Where resources come from. */
export interface ResourceSource {
  /** Undefined while the proxy has no snapshot yet (not registered, no leaf): the stream waits. */
  resources(proxyId: string): ResourceSet | undefined;
  /** Calls the listener after the proxy's set changed. @returns the way to stop. */
  subscribe(proxyId: string, listener: () => void): () => void;
}

export type TypeStatus =
  | { readonly state: "pending" | "acked"; readonly at: number }
  | { readonly state: "nacked"; readonly at: number; readonly error: string };

/** Told of what proxies say; what `status` shows. Times are milliseconds since the epoch. */
export interface ProxyObserver {
  connected(proxyId: string, at: number): void;
  disconnected(proxyId: string, at: number): void;
  /** Resources of one type sent to and acknowledged, or refused, by the proxy. */
  typeStatus(proxyId: string, typeUrl: string, status: TypeStatus): void;
}

/** Health checks by HDS. */
export interface HealthTarget {
  checks(proxyId: string): readonly ProxyCheck[];
  subscribe(proxyId: string, listener: () => void): () => void;
  /** Results of one report, by checkId. */
  report(
    proxyId: string,
    results: readonly { readonly checkId: string; readonly healthy: boolean; readonly reason: string }[],
  ): void;
  /** The proxy's health stream ended. */
  lost(proxyId: string): void;
}
