/** Servers that carry the API: HTTPS with the control CA's certificate, and the operator's Unix socket. */
import { chmod, rm } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Api } from "./api.ts";

/** How much of itself a server gives to slow or greedy clients. */
export interface Limits {
  /** Time to send the headers, from the connection or the last answer on it. @default 10 s */
  readonly headersTimeoutMs: number;
  /** Time to send a whole request. @default 30 s */
  readonly requestTimeoutMs: number;
  /** Time that a connection without a request stays open. @default 60 s */
  readonly keepAliveTimeoutMs: number;
  /** Time without a byte in either direction; longer than the longest blocking query. @default 11 min */
  readonly idleTimeoutMs: number;
  /** @default 16 KiB */
  readonly maxHeaderBytes: number;
  /** @default 4096 */
  readonly maxConnections: number;
}

export const defaultLimits: Limits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 60_000,
  idleTimeoutMs: 11 * 60_000,
  maxHeaderBytes: 16 * 1024,
  maxConnections: 4096,
};

/** Certificate chain (own first) and key, PEM. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface ApiServer {
  /** 0 for a Unix socket. */
  readonly port: number;
  /** New connections get the new certificate; those that are open keep theirs. Nothing happens on a Unix socket. */
  renew(certificate: ServerCertificate): void;
  /** Stops listening and ends every connection; requests under way have half a second to be answered. */
  close(): Promise<void>;
}

/** Serves the API by TLS 1.2 or newer. Callers are known by their token. @throws the listener's error, such as EADDRINUSE. */
export async function serveHttps(
  api: Api,
  options: {
    readonly host: string;
    readonly port: number;
    readonly certificate: ServerCertificate;
    readonly limits?: Limits;
  },
): Promise<ApiServer> {
  const limits = options.limits ?? defaultLimits;
  const server = createTlsServer(
    {
      ...serverOptions(limits),
      ...options.certificate,
      minVersion: "TLSv1.2",
      handshakeTimeout: limits.headersTimeoutMs,
    },
    listener(api, false),
  );
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  applyLimits(server, limits);
  await listen(server, (done) => server.listen(options.port, options.host, done));
  return {
    port: (server.address() as AddressInfo).port,
    renew: (certificate) => server.setSecureContext({ ...certificate, minVersion: "TLSv1.2" }),
    close: () => close(server),
  };
}

/**
 * Serves the API on a Unix socket whose clients count as the operator: whoever can open it may do everything, so its
 * folder must be the control plane's own (mode 0700). A socket that a dead process left is replaced.
 */
export async function serveUnix(api: Api, path: string, limits: Limits = defaultLimits): Promise<ApiServer> {
  await rm(path, { force: true });
  const server = createServer(serverOptions(limits), listener(api, true));
  applyLimits(server, limits);
  await listen(server, (done) => server.listen(path, done));
  await chmod(path, 0o600);
  return { port: 0, renew: () => {}, close: () => close(server) };
}

/** Options of node:http's servers that follow from the limits. */
export function serverOptions(limits: Limits) {
  return {
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    connectionsCheckingInterval: Math.min(5_000, limits.headersTimeoutMs),
  } as const;
}

/** What can only be set on the server itself; answers bytes that are no HTTP with 400 and ends the connection. */
export function applyLimits(server: Server, limits: Limits): void {
  server.maxConnections = limits.maxConnections;
  server.maxHeadersCount = 100;
  server.setTimeout(limits.idleTimeoutMs, (socket) => socket.destroy());
  server.on("clientError", (_error, socket) => {
    if (socket.writable && !socket.destroyed)
      socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    else socket.destroy();
  });
}

function listener(api: Api, operator: boolean): RequestListener {
  return (request, response) => api.handler(request, response, { operator });
}

function listen(server: Server, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    start(() => {
      server.off("error", reject);
      server.on("error", () => {}); // one connection that could not be accepted ends nothing else
      resolve();
    });
  });
}

/** Time in milliseconds that requests under way have to be answered when a server stops. */
const farewellMs = 500;

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => {
      server.closeAllConnections();
      resolve();
    }, farewellMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}
