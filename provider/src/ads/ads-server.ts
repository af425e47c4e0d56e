/** The xDS server of a control plane: delta ADS and HDS over mutual TLS. Glue between gRPC and the two kinds of stream. */
import { randomBytes } from "node:crypto";
import { Server, type ServerDuplexStream, status } from "@grpc/grpc-js";
import { isMeshError, type MeshErrorCode } from "../model/errors.ts";
import { createAdsStream } from "./ads-stream.ts";
import { createConnections } from "./connections.ts";
import { type ByteStream, createGate, type StreamHandler } from "./gate.ts";
import { createHdsStream, type SpecifierBuilder } from "./hds-stream.ts";
import { defaultLimits, type XdsLimits } from "./limits.ts";
import { peerFromCertificate } from "./peer.ts";
import { MutualTlsCredentials, type XdsTls } from "./server-tls.ts";
import type { Authenticator, HealthTarget, ProxyObserver, ResourceSource } from "./source.ts";

/** What the server logs through; pino has this shape. */
export interface XdsLog {
  warn(fields: object, message: string): void;
}

export interface XdsServerOptions {
  readonly tls: XdsTls;
  readonly authenticator: Authenticator;
  readonly resources: ResourceSource;
  readonly observer: ProxyObserver;
  readonly health: HealthTarget;
  /** Makes what a proxy is told to check. */
  readonly healthCheckSpecifier: SpecifierBuilder;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: XdsLog;
  /** @default {@link defaultLimits} */
  readonly limits?: Partial<XdsLimits>;
}

/** What a server has done since it was made. */
export interface XdsCounters {
  readonly streams: number;
  readonly messagesReceived: number;
  readonly messagesSent: number;
  readonly bytesSent: number;
}

export interface XdsServer extends AsyncDisposable {
  /** A copy of the counters, ADS and HDS together. */
  counters(): XdsCounters;
  /**
   * Listens on one more address; port 0 takes a free one.
   * @returns the port.
   * @throws {MeshError} `unavailable` when the address cannot be had.
   */
  listen(address: string, port: number): Promise<number>;
  /** Certificates for handshakes from now on; open streams stay. */
  setTls(tls: XdsTls): void;
  /** Cuts every stream and stops listening. */
  close(): Promise<void>;
}

type ByteCall = ServerDuplexStream<Buffer, Buffer>;

const ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
const hds = "/envoy.service.health.v3.HealthDiscoveryService";

/** Time in milliseconds that a client has to take the end of its stream before its connection is cut. */
const farewellMs = 200;

/** Time in milliseconds before a refusal in the same words is logged again. */
const repeatMs = 60_000;
/** How many refusals are remembered for that. */
const mostWarned = 1_000;

/** An xDS server; it listens nowhere until told to. */
export function createXdsServer(options: XdsServerOptions): XdsServer {
  const { authenticator, resources, observer, health, now, log } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const server = new Server({
    "grpc.max_receive_message_length": limits.maxMessageBytes,
    "grpc.max_send_message_length": -1,
    "grpc.max_concurrent_streams": limits.maxStreamsPerConnection,
    "grpc.keepalive_time_ms": limits.keepaliveTimeMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    "grpc.max_connection_age_ms": limits.maxConnectionAgeMs,
    "grpc.max_connection_age_grace_ms": limits.keepaliveTimeoutMs,
    "grpc.max_connection_idle_ms": 2 * limits.keepaliveTimeMs,
    "grpc.enable_channelz": 0,
  });
  const credentials = new MutualTlsCredentials(options.tls, {
    maxStreams: limits.maxStreamsPerConnection,
    handshakeTimeoutMs: limits.handshakeTimeoutMs,
  });
  const injector = server.createConnectionInjector(credentials);
  const connections = createConnections(limits, (socket) => injector.injectConnection(socket));
  const adsGate = createGate(authenticator, limits.maxStreamsPerProxy);
  const hdsGate = createGate(authenticator, limits.maxStreamsPerProxy);
  const run = randomBytes(4).toString("hex");
  const open = new Set<() => void>();
  const counters = { streams: 0, messagesReceived: 0, messagesSent: 0, bytesSent: 0 };

  const warned = new Map<string, number>();
  /** Says the same thing once a minute: a proxy that is refused comes back several times a second. */
  function warn(fields: object, message: string): void {
    const time = now();
    if (time - (warned.get(message) ?? Number.NEGATIVE_INFINITY) < repeatMs) return;
    if (warned.size >= mostWarned) warned.clear();
    warned.set(message, time);
    log.warn(fields, message);
  }

  function serve(call: ByteCall, create: (stream: ByteStream) => StreamHandler): void {
    let over = false;
    counters.streams += 1;
    const stream: ByteStream = {
      peer: peerFromCertificate(call.getAuthContext().sslPeerCertificate),
      write(message) {
        if (over) return true;
        counters.messagesSent += 1;
        counters.bytesSent += message.length;
        return call.write(message);
      },
      fail(code, message) {
        if (over) return;
        over = true;
        warn({ peer: call.getPeer(), code }, message);
        call.emit("error", { code: statusOf(code), details: message });
        const from = call.getPeer();
        const farewell = setTimeout(() => connections.cut(from), farewellMs);
        // Who is refused for its certificate must shake hands anew: on this connection it would show the same one for ever.
        if (code !== "unauthenticated" && code !== "permission_denied")
          call.once("close", () => clearTimeout(farewell));
      },
    };
    const guarded = (act: () => void) => {
      try {
        act();
      } catch (error) {
        if (isMeshError(error)) return stream.fail(error.code, error.message);
        log.warn({ error: String(error) }, "an xDS stream failed");
        stream.fail("internal", "the control plane failed; see its log");
      }
    };
    const handler = create(stream);
    call.on("data", (bytes: Buffer) => {
      counters.messagesReceived += 1;
      if (!over) guarded(() => handler.message(bytes));
    });
    call.on("drain", () => {
      if (!over) guarded(() => handler.writable());
    });
    call.on("end", () => call.end());
    call.on("error", () => {});
    const end = () => {
      over = true;
      if (open.delete(end)) guarded(() => handler.closed());
    };
    open.add(end);
    call.once("close", end);
  }

  const deltaStream = (call: ByteCall) =>
    serve(call, (stream) =>
      createAdsStream(stream, {
        gate: adsGate,
        resources,
        observer,
        now,
        limits,
        noncePrefix: `${run}-${counters.streams}-`,
        refused: (proxy, typeUrl, error) => log.warn({ proxy, typeUrl, error }, "the proxy refused a resource"),
      }),
    );
  const healthStream = (call: ByteCall) =>
    serve(call, (stream) =>
      createHdsStream(stream, { gate: hdsGate, health, specifier: options.healthCheckSpecifier, now, limits }),
    );
  const stateOfTheWorld = (call: ByteCall) => {
    call.on("error", () => {});
    call.emit("error", {
      code: status.UNIMPLEMENTED,
      details: "state of the world is not served; set api_type: DELTA_GRPC in ads_config",
    });
  };
  const asIs = (bytes: Buffer) => bytes;
  server.register(`${ads}/DeltaAggregatedResources`, deltaStream, asIs, asIs, "bidi");
  server.register(`${ads}/StreamAggregatedResources`, stateOfTheWorld, asIs, asIs, "bidi");
  server.register(`${hds}/StreamHealthCheck`, healthStream, asIs, asIs, "bidi");

  async function close(): Promise<void> {
    adsGate.close();
    hdsGate.close();
    for (const end of [...open]) end();
    await connections.close();
    injector.destroy();
    server.forceShutdown();
  }

  return {
    listen: (address, port) => connections.listen(address, port),
    counters: () => ({ ...counters }),
    setTls: (tls) => credentials.replace(tls),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function statusOf(code: MeshErrorCode): status {
  switch (code) {
    case "invalid":
      return status.INVALID_ARGUMENT;
    case "not_found":
      return status.NOT_FOUND;
    case "already_exists":
      return status.ALREADY_EXISTS;
    case "conflict":
      return status.ABORTED;
    case "unauthenticated":
      return status.UNAUTHENTICATED;
    case "permission_denied":
      return status.PERMISSION_DENIED;
    case "unavailable":
      return status.UNAVAILABLE;
    case "internal":
      return status.INTERNAL;
  }
}
