/** The primary's end of the federation: takes in secondaries, keeps them up to date, answers what they pass on. */

import type { Metadata, ServerDuplexStream, ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { Server } from "@grpc/grpc-js";
import { MeshError, toMeshError } from "../model/errors.ts";
import type { CaRootRecord } from "../model/records.ts";
import type { Change, Store } from "../store/store.ts";
import { createOutbox } from "./outbox.ts";
import type {
  ForwardRequest,
  ForwardResponse,
  FromPrimary,
  FromSecondary,
  HelloMessage,
  SignRequest,
  SignResponse,
} from "./protocol.ts";
import { federationService, maxMessageBytes, replicatedKinds, tokenKey } from "./protocol.ts";
import type { PublishedRecord } from "./publication.ts";
import { createPublication } from "./publication.ts";
import { changesFromSecondary, haveMessages, heldFromSecondary } from "./replica.ts";
import { statusFrom } from "./status.ts";
import type { ServerKeyPair } from "./tls.ts";
import { FederationServerCredentials, linkOptions } from "./tls.ts";

export interface FederationServerDeps {
  readonly store: Store;
  /** The primary's own name. */
  readonly datacenter: string;
  /** host:port of this server, for others. */
  readonly address: string;
  /** From the control CA, with the name `server.<dc>.<mesh>.isthmus`. */
  readonly certificate: ServerKeyPair;
  /** @throws {MeshError} unless the token may replicate; asked again for each live link when tokens or policies change. */
  readonly authorizeReplication: (token: string) => void;
  /** The primary's HTTP API; checks the request's own token. */
  readonly handleForward: (request: ForwardRequest) => Promise<ForwardResponse>;
  readonly handleSignIntermediate: (
    csr: string,
    datacenter: string,
  ) => Promise<{ readonly chain: readonly string[]; readonly roots: readonly CaRootRecord[] }>;
  /** Told of each link that ended for a reason worth a log line. */
  readonly onError: (error: MeshError) => void;
}

export interface FederationServer {
  /** Opens one more port; 0 picks one. @returns the port. @throws {MeshError} `unavailable` when it cannot be bound. */
  listen(host: string, port: number): Promise<number>;
  /** Names of the secondaries whose links are up, sorted. */
  connected(): readonly string[];
  /** Certificates for new handshakes. */
  replaceCertificate(certificate: ServerKeyPair): void;
  /**
   * Removes what is known of a datacenter that is gone for good; absence is success.
   * @throws {MeshError} `conflict` while its link is up, `invalid` for the primary itself.
   */
  forget(datacenter: string): Promise<void>;
  close(): Promise<void>;
}

type JoinCall = ServerDuplexStream<FromSecondary, FromPrimary>;

/** A secondary whose link is up. */
interface Session {
  readonly instance: string;
  readonly token: string;
  readonly end: (reason: MeshError) => void;
}

/** How long a secondary may take to introduce itself, in milliseconds. */
const helloTimeoutMs = 5_000;

export function createFederationServer(deps: FederationServerDeps): FederationServer {
  const { store, datacenter } = deps;
  const publication = createPublication(store, datacenter, replicatedKinds);
  const sessions = new Map<string, Session>();
  const credentials = new FederationServerCredentials(deps.certificate);
  const server = new Server({
    ...linkOptions,
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
  });

  const authorize = (metadata: Metadata): string => {
    const token = metadata.get(tokenKey)[0];
    if (typeof token !== "string" || token === "") {
      throw new MeshError("unauthenticated", `the federation link of "${datacenter}" needs a replication token`);
    }
    deps.authorizeReplication(token);
    return token;
  };

  const checkHello = (hello: HelloMessage): void => {
    if (hello.primaryDatacenter !== datacenter) {
      throw new MeshError(
        "invalid",
        `datacenter "${hello.datacenter}" has primary "${hello.primaryDatacenter}", but this is "${datacenter}": correct primaryDatacenter or the join address`,
      );
    }
    if (hello.datacenter === datacenter) {
      throw new MeshError("already_exists", `"${datacenter}" is the primary's own name: give the secondary another`);
    }
    const live = sessions.get(hello.datacenter);
    if (live && live.instance !== hello.instance) {
      throw new MeshError(
        "already_exists",
        `another datacenter "${hello.datacenter}" is connected: give one of them another name`,
      );
    }
    const clusterId = store.get("fact", "cluster-id")?.value.Value;
    if (clusterId !== undefined && hello.clusterId !== "" && hello.clusterId !== clusterId) {
      throw new MeshError(
        "conflict",
        `datacenter "${hello.datacenter}" belongs to cluster ${hello.clusterId}, this is ${clusterId}: create it anew to join this mesh`,
      );
    }
  };

  const announce = async (name: string, primary: boolean, address: string): Promise<void> => {
    await store.txn([
      { op: "set", kind: "datacenter", key: name, value: { Name: name, Primary: primary, Address: address } },
    ]);
  };

  const join = (call: JoinCall): void => {
    let name = "";
    let session: Session | undefined;
    let over = false;
    const held = new Map<string, string>();
    const visible = ({ kind, key }: PublishedRecord): boolean =>
      kind !== "imported-service" || !key.startsWith(`${name}/`);
    const outbox = createOutbox(publication, visible, (message) => call.write(message));

    const release = (): void => {
      over = true;
      clearTimeout(timer);
      outbox.close();
      if (session && sessions.get(name) === session) sessions.delete(name);
    };
    const end = (error: unknown): void => {
      if (over) return;
      release();
      deps.onError(toMeshError(error));
      call.emit("error", statusFrom(error));
    };
    const timer = setTimeout(
      () => end(new MeshError("invalid", "the other side did not introduce itself")),
      helloTimeoutMs,
    );

    const welcome = async (hello: HelloMessage, token: string): Promise<void> => {
      checkHello(hello);
      const clusterId = store.get("fact", "cluster-id")?.value.Value;
      if (clusterId === undefined)
        throw new MeshError("unavailable", `datacenter "${datacenter}" has no certificate authority yet: try again`);
      clearTimeout(timer);
      name = hello.datacenter;
      const before = sessions.get(name);
      session = { instance: hello.instance, token, end };
      sessions.set(name, session);
      before?.end(new MeshError("unavailable", `datacenter "${name}" connected anew`));
      await announce(name, false, hello.address);
      if (over) return;
      const epoch = Number(store.get("fact", "federation-epoch")?.value.Value ?? 1);
      call.write({ type: "welcome", datacenter, clusterId, epoch, index: store.index });
      for (const message of haveMessages(heldFromSecondary(store, name))) call.write(message);
    };

    const receive = async (message: FromSecondary, token: string): Promise<void> => {
      if (message.type === "hello" ? session : !session)
        throw new MeshError("invalid", "messages of a federation link came out of order");
      if (message.type === "hello") return welcome(message, token);
      if (message.type === "have") {
        for (const [id, digest] of message.items) held.set(id, digest);
        if (message.last) outbox.start(held);
        return;
      }
      const changes = changesFromSecondary(message, name);
      if (changes.length > 0) await store.txn(changes);
    };

    try {
      const token = authorize(call.metadata);
      // One message at a time; meanwhile the stream's flow control holds the sender back.
      call.on("data", (message: FromSecondary) => {
        if (over) return;
        call.pause();
        receive(message, token).then(() => call.resume(), end);
      });
      call.on("drain", outbox.drained);
      call.on("cancelled", release);
      call.on("error", release);
      call.on("end", () => {
        release();
        call.end();
      });
    } catch (error) {
      end(error);
    }
  };

  const unary =
    <Request, Response>(run: (request: Request, token: string) => Promise<Response>) =>
    (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
      (async () => run(call.request, authorize(call.metadata)))().then(
        (response) => callback(null, response),
        (error: unknown) => callback(statusFrom(error)),
      );
    };

  server.addService(federationService, {
    join,
    forward: unary((request: ForwardRequest) => deps.handleForward(request)),
    signIntermediate: unary(async (request: SignRequest): Promise<SignResponse> => {
      if (sessions.get(request.datacenter)?.instance !== request.instance) {
        throw new MeshError(
          "permission_denied",
          `datacenter "${request.datacenter}" asked for a certificate without having joined`,
        );
      }
      const { chain, roots } = await deps.handleSignIntermediate(request.csr, request.datacenter);
      return { chain: [...chain], roots: [...roots] };
    }),
  });

  // A token that lost its right loses its link at once.
  const stopWatching = store.subscribe((commit) => {
    if (![...commit.set, ...commit.deleted].some(({ kind }) => kind === "acl-token" || kind === "acl-policy")) return;
    queueMicrotask(() => {
      for (const session of [...sessions.values()]) {
        try {
          deps.authorizeReplication(session.token);
        } catch (error) {
          session.end(toMeshError(error));
        }
      }
    });
  });

  return {
    async listen(host, port) {
      await announce(datacenter, true, deps.address);
      return new Promise((resolve, reject) => {
        server.bindAsync(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`, credentials, (error, bound) => {
          if (error)
            reject(
              new MeshError("unavailable", `the federation port ${host}:${port} cannot be opened: ${error.message}`, {
                cause: error,
              }),
            );
          else resolve(bound);
        });
      });
    },
    connected: () => [...sessions.keys()].sort(),
    replaceCertificate: (certificate) => credentials.replace(certificate),
    async forget(name) {
      if (name === datacenter)
        throw new MeshError("invalid", `datacenter "${name}" is the primary: it cannot forget itself`);
      if (sessions.has(name)) throw new MeshError("conflict", `datacenter "${name}" is connected: stop it first`);
      const imported = store.list("imported-service", `${name}/`);
      await store.txn([
        { op: "delete", kind: "datacenter", key: name },
        ...imported.map(({ key }): Change => ({ op: "delete", kind: "imported-service", key })),
      ]);
    },
    async close() {
      stopWatching();
      publication.close();
      for (const session of [...sessions.values()])
        session.end(new MeshError("unavailable", `datacenter "${datacenter}" is stopping`));
      server.forceShutdown();
    },
  };
}
