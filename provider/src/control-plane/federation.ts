/** The control plane's end of the federation link: a server in the primary, a client in a secondary, one shape for both. */
import type { Logger } from "pino";
import { anonymousSecret } from "../acl/builtin.ts";
import { controlServerName } from "../ca/control-ca.ts";
import { createFederationClient, type FederationClient } from "../federation/client.ts";
import { createFederationServer, type FederationServer } from "../federation/server.ts";
import type { Authorizer } from "../model/authorizer.ts";
import { MeshError } from "../model/errors.ts";
import type { ControlPlaneConfig, StatusResponse } from "../model/isthmus-api.ts";
import type { CaRootRecord } from "../model/records.ts";
import type { ForwardRequest, ForwardResponse, PrimaryLink } from "../server/http/dependencies.ts";
import type { Store } from "../store/store.ts";
import { askOwnApi } from "./own-api.ts";

interface SignedIntermediate {
  readonly chain: readonly string[];
  readonly roots: readonly CaRootRecord[];
}

type SignIntermediate = (csr: string, datacenter: string) => Promise<SignedIntermediate>;

interface KeyPair {
  readonly chain: string;
  readonly privateKey: string;
}

export interface Federation {
  /** Present in a secondary. */
  readonly signIntermediate?: (csr: string) => Promise<SignedIntermediate>;
  /** Present in a secondary. */
  readonly primaryLink?: PrimaryLink;
  /** Present in a secondary. */
  readonly replication?: () => NonNullable<StatusResponse["Replication"]>;
  /** Present in the primary: forgets a datacenter that is gone for good. */
  readonly forget?: (datacenter: string) => Promise<void>;
  /** Names of the secondaries whose links are up; none in a secondary. */
  connected(): readonly string[];
  onStatus(listener: () => void): void;
  /** Listens, or begins to follow the primary. */
  start(bind: readonly string[], certificate: KeyPair, sign: SignIntermediate): Promise<void>;
  /** Certificates for new handshakes. */
  replaceCertificate(certificate: KeyPair): void;
  close(): unknown;
}

interface FederationDeps {
  readonly config: ControlPlaneConfig;
  readonly store: Store;
  readonly resolver: { resolve(secret: string | undefined): Authorizer };
  /** The operator socket of this control plane's own API. */
  readonly socketPath: string;
  readonly log: Logger;
}

/** How long a request for an intermediate waits for the link, in milliseconds. */
const linkedWithinMs = 5_000;

/** How long a write that was forwarded may take to come back by replication. */
const replicatedWithinMs = 10_000;

export function createFederation(deps: FederationDeps): Federation {
  return deps.config.join ? secondary(deps, deps.config.join) : primary(deps);
}

function secondary(deps: FederationDeps, join: NonNullable<ControlPlaneConfig["join"]>): Federation {
  const { config, store, log } = deps;
  const client = createFederationClient({
    store,
    datacenter: config.datacenter,
    primaryDatacenter: config.primaryDatacenter,
    address: `${config.wanAddress}:${config.ports.server}`,
    dialer: {
      dial: () =>
        Promise.resolve({
          address: join.address,
          serverName: controlServerName(config.primaryDatacenter, config.mesh),
        }),
    },
    controlRoot: join.controlRoot,
    token: () => join.token,
    random: Math.random,
    now: Date.now,
    onError: (error) => log.warn({ error: error.message }, "federation link"),
  });
  const forward = async (request: ForwardRequest): Promise<ForwardResponse> => {
    // The operator of this datacenter is known in the primary by the replication token, which has acl:write there.
    const token = request.token ?? (request.operator ? join.token : "");
    const answer = await client.forward({
      method: request.method as "GET" | "PUT" | "POST" | "DELETE",
      path: request.path,
      query: request.query.replace(/^\?/, ""),
      token,
      body: Buffer.from(request.body).toString("utf8"),
    });
    return { status: answer.status, headers: answer.headers, body: Buffer.from(answer.body, "utf8") };
  };
  return {
    signIntermediate: async (csr) => {
      await linked(client);
      return await client.signIntermediate(csr);
    },
    primaryLink: { forward, awaitReplicated: (index) => client.awaitIndex(index, replicatedWithinMs) },
    replication: client.status,
    connected: () => [],
    onStatus: (listener) => void client.onStatus(listener),
    start: () => {
      client.start();
      return Promise.resolve();
    },
    replaceCertificate: () => {},
    close: client.close,
  };
}

/** Resolves once the link is up, or after a while: whoever asks then hears why it is not. */
function linked(client: FederationClient): Promise<void> {
  if (client.status().Connected) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const stop = client.onStatus(() => {
      if (client.status().Connected) finish();
    });
    const timer = setTimeout(finish, linkedWithinMs);
    timer.unref();
  });
}

function primary(deps: FederationDeps): Federation {
  const { config, store, resolver, log } = deps;
  let server: FederationServer | undefined;
  return {
    forget: async (datacenter) => {
      if (!server) throw new MeshError("unavailable", "the control plane is starting; try again");
      await server.forget(datacenter);
    },
    connected: () => server?.connected() ?? [],
    onStatus: () => {},
    start: async (bind, certificate, sign) => {
      server = createFederationServer({
        store,
        datacenter: config.datacenter,
        address: `${config.wanAddress}:${config.ports.server}`,
        certificate,
        authorizeReplication: (token) => {
          const authorizer = resolver.resolve(token);
          if (!authorizer.aclWrite() || !authorizer.operatorWrite()) {
            throw new MeshError("permission_denied", "the replication token needs acl:write and operator:write");
          }
        },
        handleForward: async (request) => {
          const { token } = request;
          // acl:write can make any token, so whoever holds it may as well act as the operator.
          const operator = token !== "" && resolver.resolve(token).aclWrite();
          const caller = operator ? undefined : token || anonymousSecret;
          const answer = await askOwnApi(deps.socketPath, { ...request, token: caller });
          return { ...answer, index: store.index };
        },
        handleSignIntermediate: sign,
        onError: (error) => log.warn({ error: error.message }, "federation link"),
      });
      for (const host of bind) await server.listen(host, config.ports.server);
    },
    replaceCertificate: (certificate) => server?.replaceCertificate(certificate),
    close: () => server?.close(),
  };
}
