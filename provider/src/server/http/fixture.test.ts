/** What the API's tests share: a real server on loopback over the memory store, and a client. No tests of its own. */
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createResolver } from "../../acl/tokens.ts";
import { type Clock, systemClock } from "../../catalog/deadlines.ts";
import { createTtl } from "../../catalog/ttl.ts";
import { createAclOperations } from "../../control-plane/acl-operations.ts";
import type { Authorizer } from "../../model/authorizer.ts";
import type { IdentityRequest, ProxyStatus } from "../../model/isthmus-api.ts";
import type { CaRootRecord, LeafRecord, NodeRecord } from "../../model/records.ts";
import { createMemoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { createApi } from "./api.ts";
import type { ApiDependencies, Gauge, PrimaryLink } from "./dependencies.ts";
import { applyLimits, defaultLimits, type Limits, serverOptions } from "./server.ts";

export const operatorSecret = "00000000-aaaa-4bbb-8ccc-000000000001";

/** Rules of a test's token; `*` is every name. */
export interface Rules {
  readonly serviceRead?: readonly string[];
  readonly serviceWrite?: readonly string[];
  readonly nodeRead?: readonly string[];
  readonly nodeWrite?: readonly string[];
  readonly intentionRead?: readonly string[];
  readonly intentionWrite?: readonly string[];
  readonly acl?: "read" | "write";
  readonly operator?: "read" | "write";
}

export function authorizerOf(accessor: string, rules: Rules): Authorizer {
  const has = (list: readonly string[] | undefined) => (name: string) =>
    list?.includes("*") || list?.includes(name) || false;
  return {
    accessor,
    serviceRead: (name) => has(rules.serviceRead)(name) || has(rules.serviceWrite)(name),
    serviceWrite: has(rules.serviceWrite),
    serviceReadAll: () => has(rules.serviceRead)("*"),
    nodeRead: (name) => has(rules.nodeRead)(name) || has(rules.nodeWrite)(name),
    nodeWrite: has(rules.nodeWrite),
    intentionRead: (name) => has(rules.intentionRead)(name) || has(rules.intentionWrite)(name),
    intentionWrite: has(rules.intentionWrite),
    aclRead: () => rules.acl !== undefined,
    aclWrite: () => rules.acl === "write",
    operatorRead: () => rules.operator !== undefined,
    operatorWrite: () => rules.operator === "write",
  };
}

export const everything: Rules = {
  serviceWrite: ["*"],
  serviceRead: ["*"],
  nodeWrite: ["*"],
  intentionWrite: ["*"],
  acl: "write",
  operator: "write",
};

export interface Answer {
  readonly status: number;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads any answer's fields
  readonly json: any;
  readonly headers: Headers;
  readonly index: number;
}

export interface TestApi extends AsyncDisposable {
  readonly store: Store;
  readonly url: string;
  readonly port: number;
  readonly logged: string[];
  readonly proxies: { index: number; list: ProxyStatus[]; readonly change: () => void };
  /** Gives a new secret these rights. */
  token(rules: Rules, accessor?: string): string;
  revoke(secret: string): void;
  /** As management unless a secret is given; `null` sends none. */
  call(method: string, path: string, body?: unknown, secret?: string | null): Promise<Answer>;
  /** Ends the waiting requests as a stop of the control plane does. */
  stop(): void;
}

export interface TestApiOptions {
  readonly datacenter?: string;
  readonly primaryDatacenter?: string;
  readonly primary?: (store: Store) => PrimaryLink;
  readonly clock?: Clock;
  readonly limits?: Partial<Limits>;
  readonly defaultPolicy?: "allow" | "deny";
  readonly operatorSocket?: boolean;
}

export async function createTestApi(options: TestApiOptions = {}): Promise<TestApi> {
  const store = createMemoryStore();
  const datacenter = options.datacenter ?? "dc1";
  const node: NodeRecord = {
    Node: `${datacenter}-server`,
    ID: randomUUID(),
    Address: "127.0.0.1",
    Datacenter: datacenter,
  };
  await store.txn([{ op: "set", kind: "node", key: node.Node, value: node }]);
  const secrets = new Map<string, Authorizer>([[operatorSecret, authorizerOf("management", everything)]]);
  const logged: string[] = [];
  const listeners = new Set<() => void>();
  const proxies = {
    index: 1,
    list: [] as ProxyStatus[],
    change: () => {
      proxies.index += 1;
      for (const listener of [...listeners]) listener();
    },
  };
  const onError = (error: unknown): void => void logged.push(String(error));
  const resolver = createResolver(store, { datacenter, enabled: true, defaultPolicy: options.defaultPolicy ?? "deny" });
  const ttl = createTtl({ store, node: node.Node, clock: options.clock ?? systemClock, onError });
  const deps: ApiDependencies = {
    store,
    datacenter,
    primaryDatacenter: options.primaryDatacenter ?? datacenter,
    version: "0.1.0",
    node,
    serverAddress: "127.0.0.1:8300",
    trustDomain: () => "11111111-2222-3333-4444-555555555555.consul",
    acl: {
      enabled: true,
      defaultPolicy: options.defaultPolicy ?? "deny",
      resolve: (secret) => {
        if (secret === undefined) return authorizerOf("anonymous", {});
        const found = secrets.get(secret);
        return found ?? resolver.resolve(secret);
      },
      operator: authorizerOf("operator", everything),
      operations: createAclOperations(store, { uuid: randomUUID, now: Date.now }),
    },
    connectCa: {
      roots: () => [root],
      leaf: async (service) => leafOf(service),
      configuration: () => ({ LeafCertTTL: "72h" }),
    },
    ...(options.primary ? { primary: options.primary(store) } : {}),
    proxies: {
      get index() {
        return proxies.index;
      },
      subscribe: (listener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      list: () => proxies.list,
      issueIdentity: async (proxyId: string, request: IdentityRequest) => ({
        CertificateChain: `chain of ${proxyId}`,
        NotAfter: "2030-01-01T00:00:00Z",
        Bootstrap: { admin: request.AdminSocket },
      }),
    },
    status: {
      index: 1,
      subscribe: () => () => {},
      response: () => ({
        Datacenter: datacenter,
        PrimaryDatacenter: options.primaryDatacenter ?? datacenter,
        Version: "0.1.0",
        TrustDomain: "x.consul",
        Ready: true,
        Waiting: [],
        Datacenters: [],
      }),
    },
    join: () => ({ Datacenter: datacenter, ControlRoot: "pem", Address: "127.0.0.1:8300" }),
    ttl,
    gauges: (): readonly Gauge[] => [
      { name: "isthmus.proxies.connected", help: "Proxies with an xDS stream", value: 2 },
    ],
    clock: systemClock,
    uuid: randomUUID,
    log: {
      warn: (fields, message) => void logged.push(`${message} ${JSON.stringify(fields)}`),
      error: (fields, message) => void logged.push(`${message} ${JSON.stringify(fields)}`),
    },
  };
  const api = createApi(deps);
  const limits = { ...defaultLimits, ...options.limits };
  const server = createServer(serverOptions(limits), (request, response) =>
    api.handler(request, response, { operator: options.operatorSocket ?? false }),
  );
  applyLimits(server, limits);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = (server.address() as AddressInfo).port;
  const url = `http://127.0.0.1:${port}`;

  return {
    store,
    url,
    port,
    logged,
    proxies,
    token: (rules, accessor = randomUUID()) => {
      const secret = randomUUID();
      secrets.set(secret, authorizerOf(accessor, rules));
      return secret;
    },
    revoke: (secret) => void secrets.delete(secret),
    call: async (method, path, body, secret = operatorSecret) => {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: secret === null ? {} : { "X-Consul-Token": secret },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = response.headers.get("content-type") === "application/json";
      return {
        status: response.status,
        text,
        json: isJson ? JSON.parse(text) : undefined,
        headers: response.headers,
        index: Number(response.headers.get("x-consul-index")),
      };
    },
    stop: () => api.close(),
    [Symbol.asyncDispose]: async () => {
      api.close();
      ttl.close();
      resolver.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      store.close();
    },
  };
}

const root: CaRootRecord = {
  ID: "aa:bb",
  Name: "Isthmus CA Root Cert",
  RootCert: "-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n",
  IntermediateCerts: [],
  Active: true,
  SigningKeyID: "cc:dd",
  NotBefore: "2026-01-01T00:00:00Z",
  NotAfter: "2036-01-01T00:00:00Z",
  ExternalTrustDomain: "11111111-2222-3333-4444-555555555555",
  PrivateKeyType: "ec",
  PrivateKeyBits: 256,
};

function leafOf(service: string): LeafRecord {
  return {
    Service: service,
    SerialNumber: "01",
    Chain: ["leaf\n", "intermediate\n"],
    PrivateKey: "key\n",
    RootID: root.ID,
    NotBefore: root.NotBefore,
    NotAfter: root.NotAfter,
  };
}
