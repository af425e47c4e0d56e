/** A control plane's side of the xDS server for tests: who may come, what each gets, what each said. Kept in memory. */
import { createHash, X509Certificate } from "node:crypto";
import { MeshError } from "../model/errors.ts";
import type { EncodedResource, ProxyCheck, ResourceSet } from "../model/proxy-snapshot.ts";
import type { Authenticator, HealthTarget, ProxyObserver, ResourceSource, TypeStatus } from "./source.ts";

type Listener = () => void;

function createListeners() {
  const listeners = new Map<string, Set<Listener>>();
  return {
    add(key: string, listener: Listener): Listener {
      const own = listeners.get(key) ?? new Set();
      listeners.set(key, own.add(listener));
      return () => own.delete(listener);
    },
    call(key: string): void {
      for (const listener of [...(listeners.get(key) ?? [])]) listener();
    },
  };
}

/** Certificates by the proxy they belong to. */
export function createTestAuthenticator(): Authenticator & {
  allow(cert: string, proxyId: string): void;
  revoke(proxyId: string): void;
} {
  const owners = new Map<string, string>();
  const listeners = new Set<(proxyId: string) => void>();
  return {
    allow: (cert, proxyId) => void owners.set(new X509Certificate(cert).fingerprint256, proxyId),
    revoke(proxyId) {
      for (const [fingerprint, owner] of owners) if (owner === proxyId) owners.delete(fingerprint);
      for (const listener of listeners) listener(proxyId);
    },
    authenticate(peer, nodeId) {
      const owner = owners.get(peer.fingerprint256);
      if (owner === undefined) throw new MeshError("unauthenticated", "unknown certificate");
      if (owner !== nodeId) throw new MeshError("permission_denied", `the certificate is not that of "${nodeId}"`);
      return owner;
    },
    onRevoked(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Resources by proxy, to be set at will. */
export function createTestResources(): ResourceSource & {
  set(proxyId: string, resources: readonly EncodedResource[]): void;
} {
  const sets = new Map<string, ResourceSet>();
  const listeners = createListeners();
  return {
    set(proxyId, resources) {
      const set = new Map<string, Map<string, EncodedResource>>();
      for (const resource of resources) {
        const ofType = set.get(resource.typeUrl) ?? new Map<string, EncodedResource>();
        set.set(resource.typeUrl, ofType.set(resource.name, resource));
      }
      sets.set(proxyId, set);
      listeners.call(proxyId);
    },
    resources: (proxyId) => sets.get(proxyId),
    subscribe: (proxyId, listener) => listeners.add(proxyId, listener),
  };
}

/** The last that each proxy said, and whether it is here. */
export function createTestObserver(): ProxyObserver & {
  readonly online: ReadonlySet<string>;
  status(proxyId: string, typeUrl: string): TypeStatus | undefined;
} {
  const online = new Set<string>();
  const statuses = new Map<string, TypeStatus>();
  return {
    online,
    status: (proxyId, typeUrl) => statuses.get(`${proxyId} ${typeUrl}`),
    connected: (proxyId) => void online.add(proxyId),
    disconnected: (proxyId) => void online.delete(proxyId),
    typeStatus: (proxyId, typeUrl, status) => void statuses.set(`${proxyId} ${typeUrl}`, status),
  };
}

/** Checks by proxy, and what was reported of each check. */
export function createTestHealth(): HealthTarget & {
  set(proxyId: string, checks: readonly ProxyCheck[]): void;
  readonly healthy: ReadonlyMap<string, boolean>;
  readonly lostProxies: ReadonlySet<string>;
} {
  const checks = new Map<string, readonly ProxyCheck[]>();
  const listeners = createListeners();
  const healthy = new Map<string, boolean>();
  const lostProxies = new Set<string>();
  return {
    healthy,
    lostProxies,
    set(proxyId, own) {
      checks.set(proxyId, own);
      listeners.call(proxyId);
    },
    checks: (proxyId) => checks.get(proxyId) ?? [],
    subscribe: (proxyId, listener) => listeners.add(proxyId, listener),
    report(_proxyId, results) {
      for (const result of results) healthy.set(result.checkId, result.healthy);
    },
    lost: (proxyId) => void lostProxies.add(proxyId),
  };
}

/** The version of a resource: a hash of its bytes. */
export function versionOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}
