/**
 * A secondary's end of the federation: follows the primary, publishes its own services, passes requests on. While the
 * primary is away everything that was taken over stays.
 */

import { randomUUID } from "node:crypto";
import type { ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import { Client, Metadata } from "@grpc/grpc-js";
import { MeshError, toMeshError } from "../model/errors.ts";
import type { Store } from "../store/store.ts";
import { pauseMs } from "./backoff.ts";
import { createOutbox } from "./outbox.ts";
import type {
  ForwardRequest,
  ForwardResponse,
  FromPrimary,
  FromSecondary,
  RecordsMessage,
  SignRequest,
  SignResponse,
} from "./protocol.ts";
import { federationService, maxMessageBytes, tokenKey } from "./protocol.ts";
import { createPublication } from "./publication.ts";
import type { ReplicationState } from "./replica.ts";
import { acceptWelcome, changesFromPrimary, haveMessages, heldFromPrimary, storedState } from "./replica.ts";
import { errorFrom } from "./status.ts";
import { linkOptions, pinnedCredentials } from "./tls.ts";

/** Where the primary is reached; asked before each attempt, so that the way (a gateway, say) may change. */
export interface Dialer {
  dial(): Promise<{
    /** host:port */
    readonly address: string;
    /** The name that the certificate must carry; also the SNI. */
    readonly serverName: string;
  }>;
}

export interface FederationClientDeps {
  readonly store: Store;
  readonly datacenter: string;
  readonly primaryDatacenter: string;
  /** host:port of this datacenter's own link, for the record; empty when it has none. */
  readonly address: string;
  readonly dialer: Dialer;
  /** The primary's control CA root, PEM. */
  readonly controlRoot: string;
  /** The replication token; asked before each attempt, so that it can be rotated. */
  readonly token: () => string;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Told of each lost link, and of a failed attempt when its reason is a new one. */
  readonly onError: (error: MeshError) => void;
}

/** As in `/v1/isthmus/status`. */
export interface ReplicationStatus {
  readonly SourceDatacenter: string;
  /** The link is up and a whole snapshot was taken over since. */
  readonly Connected: boolean;
  /** Revision of the primary that this datacenter has reached. */
  readonly ReplicatedIndex: number;
  /** ISO 8601; empty before the first. */
  readonly LastSuccess: string;
  /** Why the last attempt failed; empty while connected. */
  readonly LastError: string;
}

export interface FederationClient {
  /** Begins to follow the primary, for as long as the client is open. */
  start(): void;
  status(): ReplicationStatus;
  /** Calls the listener when Connected or LastError changed. @returns the way to stop. */
  onStatus(listener: () => void): () => void;
  /**
   * Resolves when this datacenter has everything that the primary had at the index.
   * @throws {MeshError} `unavailable` after `timeoutMs`.
   */
  awaitIndex(index: number, timeoutMs: number): Promise<void>;
  /**
   * Passes an HTTP request on to the primary.
   * @throws {MeshError} `unavailable` when the primary cannot be reached; says whether the request may have arrived.
   */
  forward(request: ForwardRequest, timeoutMs?: number): Promise<ForwardResponse>;
  /** @throws {MeshError} `unavailable` while the link is down, or what the primary objects to. */
  signIntermediate(csr: string): Promise<SignResponse>;
  close(): void;
}

type JoinCall = ClientDuplexStream<FromSecondary, FromPrimary>;

/** How long one attempt may take until the primary's welcome, in milliseconds. */
const welcomeTimeoutMs = 3_000;

export function createFederationClient(deps: FederationClientDeps): FederationClient {
  const { store, datacenter, primaryDatacenter } = deps;
  const publication = createPublication(store, datacenter, []);
  const waiting = new Set<() => void>();
  const listeners = new Set<() => void>();
  let link: Client | undefined;
  let current: JoinCall | undefined;
  let connected = false;
  let index = storedState(store)?.Index ?? 0;
  let lastSuccess = "";
  let lastError = "not connected yet";
  let closed = false;
  let started = false;
  let wake = (): void => {};

  const report = (nowConnected: boolean, error: string): void => {
    if (nowConnected === connected && error === lastError) return;
    connected = nowConnected;
    lastError = error;
    for (const listener of [...listeners]) listener();
  };

  const instanceId = async (): Promise<string> => {
    const known = store.get("fact", "federation-instance")?.value.Value;
    if (known !== undefined) return known;
    const made = randomUUID();
    await store.txn([{ op: "set", kind: "fact", key: "federation-instance", value: { Value: made } }]);
    return made;
  };

  const metadata = (): Metadata => {
    const made = new Metadata();
    made.set(tokenKey, deps.token());
    return made;
  };

  const apply = async (
    message: RecordsMessage,
    origin: Pick<ReplicationState, "ClusterId" | "Epoch">,
  ): Promise<void> => {
    if (connected && message.index < index) {
      throw new MeshError(
        "conflict",
        `datacenter "${primaryDatacenter}" went back from index ${index} to ${message.index}`,
      );
    }
    const moved = message.set.length + message.deleted.length > 0;
    const state = { ClusterId: origin.ClusterId, Epoch: origin.Epoch, Index: message.index };
    // A message that only moves the index is not worth a disk write once the stream runs.
    const durable = message.complete && (moved || !connected) ? state : undefined;
    const changes = changesFromPrimary(message, datacenter, durable);
    if (changes.length > 0) await store.txn(changes);
    lastSuccess = new Date(deps.now()).toISOString();
    if (!message.complete) return;
    index = message.index;
    report(true, "");
    for (const check of [...waiting]) check();
  };

  /** One life of the link: resolves never, rejects when it ends. */
  const follow = async (): Promise<never> => {
    const { address, serverName } = await deps.dialer.dial();
    const instance = await instanceId();
    const client = new Client(address, pinnedCredentials(deps.controlRoot), {
      ...linkOptions,
      "grpc.ssl_target_name_override": serverName,
      "grpc.default_authority": serverName,
      "grpc.max_receive_message_length": maxMessageBytes,
      "grpc.max_send_message_length": maxMessageBytes,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.enable_retries": 0,
      "grpc.service_config_disable_resolution": 1,
    });
    const { path, requestSerialize, responseDeserialize } = federationService.join;
    const call: JoinCall = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata());
    current = call;
    const outbox = createOutbox(
      publication,
      () => true,
      (message) => call.write(message),
    );
    const ended = Promise.withResolvers<never>();
    const timer = setTimeout(
      () =>
        ended.reject(new MeshError("unavailable", `datacenter "${primaryDatacenter}" at ${address} does not answer`)),
      welcomeTimeoutMs,
    );
    const theyHave = new Map<string, string>();
    let origin: Pick<ReplicationState, "ClusterId" | "Epoch"> | undefined;

    const receive = async (message: FromPrimary): Promise<void> => {
      if (message.type === "welcome") {
        clearTimeout(timer);
        const stored = storedState(store);
        const state = stored && { ...stored, Index: Math.max(stored.Index, index) };
        acceptWelcome(message, { state, clusterId: clusterId(store), primary: primaryDatacenter });
        origin = { ClusterId: message.clusterId, Epoch: message.epoch };
        link = client;
        for (const part of haveMessages(heldFromPrimary(store, datacenter))) call.write(part);
        return;
      }
      if (!origin) throw new MeshError("invalid", `datacenter "${primaryDatacenter}" did not introduce itself`);
      if (message.type === "records") return apply(message, origin);
      for (const [id, digest] of message.items) theyHave.set(id, digest);
      if (message.last) outbox.start(theyHave);
    };

    // One message at a time; meanwhile the stream's flow control holds the primary back.
    call.on("data", (message: FromPrimary) => {
      call.pause();
      receive(message).then(() => call.resume(), ended.reject);
    });
    call.on("drain", outbox.drained);
    call.on("error", (error: ServiceError) => ended.reject(errorFrom(error)));
    call.on("end", () =>
      ended.reject(new MeshError("unavailable", `datacenter "${primaryDatacenter}" ended the link`)),
    );
    call.write({
      type: "hello",
      datacenter,
      primaryDatacenter,
      instance,
      address: deps.address,
      clusterId: clusterId(store),
    });
    try {
      return await ended.promise;
    } finally {
      clearTimeout(timer);
      outbox.close();
      call.removeAllListeners("data");
      call.cancel();
      client.close();
      if (link === client) link = undefined;
      current = undefined;
    }
  };

  const run = async (): Promise<void> => {
    for (let failures = 1; !closed; failures += 1) {
      try {
        await follow();
      } catch (error) {
        if (closed) return;
        if (connected) failures = 1;
        const known = toMeshError(error);
        // Said once, not with every attempt.
        if (connected || known.message !== lastError) deps.onError(known);
        report(false, known.message);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pauseMs(failures, deps.random()));
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };

  const unreachable = (what: string): MeshError =>
    new MeshError(
      "unavailable",
      `datacenter "${datacenter}" cannot reach its primary "${primaryDatacenter}", ${what}: ${lastError}`,
    );

  const unary = async <Request, Response>(
    method: {
      path: string;
      requestSerialize: (value: Request) => Buffer;
      responseDeserialize: (bytes: Buffer) => Response;
    },
    request: Request,
    timeoutMs: number,
    whenDown: string,
  ): Promise<Response> => {
    const client = link;
    if (!client) throw unreachable(whenDown);
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + timeoutMs };
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata(),
        options,
        (error, response) => {
          if (response !== undefined) return resolve(response);
          const known = error ? errorFrom(error) : new MeshError("internal", "no answer");
          if (known.code !== "unavailable") return reject(known);
          reject(
            new MeshError(
              "unavailable",
              `the link to the primary "${primaryDatacenter}" broke before its answer came, so the request may or may not have been carried out: ${known.message}`,
              { cause: error },
            ),
          );
        },
      );
    });
  };

  return {
    start() {
      if (started || closed) return;
      started = true;
      void run();
    },
    status: () => ({
      SourceDatacenter: primaryDatacenter,
      Connected: connected,
      ReplicatedIndex: index,
      LastSuccess: lastSuccess,
      LastError: lastError,
    }),
    onStatus(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    awaitIndex: (wanted, timeoutMs) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (index < wanted) return;
          waiting.delete(check);
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(() => {
          waiting.delete(check);
          reject(unreachable(`so it is at the primary's index ${index} and not at ${wanted} after ${timeoutMs} ms`));
        }, timeoutMs);
        waiting.add(check);
        check();
      }),
    forward: (request, timeoutMs = 30_000) =>
      unary(federationService.forward, request, timeoutMs, "so nothing was written"),
    signIntermediate: async (csr) => {
      const request: SignRequest = { datacenter, instance: await instanceId(), csr };
      return unary(federationService.signIntermediate, request, 10_000, "so it gets no signing certificate");
    },
    close() {
      closed = true;
      publication.close();
      current?.cancel();
      wake();
      listeners.clear();
    },
  };
}

function clusterId(store: Store): string {
  return store.get("fact", "cluster-id")?.value.Value ?? storedState(store)?.ClusterId ?? "";
}
