/** Services on loopback: an application in the test's own process, its registration, and its sidecar. */
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { ControlPlane } from "./control-planes.ts";
import { type RunningProxy, startProxy } from "./proxies.ts";

/** Ports of every service on its own address. */
export const ports = { app: 8181, sidecar: 20_000, gateway: 8443 } as const;

export interface App {
  /** Stops listening and cuts every connection, as a crash does. */
  stop(): Promise<void>;
  start(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** An application: `echo` sends back what it gets, `first` speaks before it is spoken to, `http` answers 200. */
export async function startApp(address: string, port: number, kind: "echo" | "first" | "http"): Promise<App> {
  let sockets = new Set<Socket>();
  let server: Server | undefined;
  const start = async (): Promise<void> => {
    const made = kind === "http" ? createHttpServer((_request, response) => response.end("well\n")) : createServer();
    made.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      if (kind === "echo") socket.pipe(socket);
      if (kind === "first") socket.write("I speak first\n");
    });
    await new Promise<void>((resolve, reject) => {
      made.once("error", reject);
      made.listen(port, address, resolve);
    });
    server = made;
  };
  const stop = async (): Promise<void> => {
    const closed = new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    for (const socket of sockets) socket.destroy();
    sockets = new Set();
    await closed;
    server = undefined;
  };
  await start();
  return { start, stop, [Symbol.asyncDispose]: stop };
}

/** A connection to a port, as an app of that address would open it. */
export async function dial(address: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, allowHalfOpen: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

export interface ServiceOptions {
  readonly name: string;
  /** Its own loopback address. */
  readonly address: string;
  /** @default `echo` */
  readonly app?: "echo" | "first" | "http" | "none";
  readonly upstreams?: readonly { readonly service: string; readonly datacenter: string; readonly port: number }[];
  readonly checks?: readonly unknown[];
  /** Port of its sidecar. @default 20000 */
  readonly sidecarPort?: number;
}

export interface Service {
  readonly name: string;
  readonly address: string;
  readonly app: App | undefined;
  readonly sidecar: RunningProxy;
  /** Dials one of its upstream ports. */
  dial(port: number): Promise<Socket>;
}

/** Body of the registration of a service with a sidecar. */
export function registration(options: ServiceOptions): object {
  const { name, address, upstreams = [], checks = [] } = options;
  return {
    Name: name,
    Address: address,
    Port: ports.app,
    Checks: checks,
    Connect: {
      SidecarService: {
        Port: options.sidecarPort ?? ports.sidecar,
        Proxy: {
          LocalServiceAddress: address,
          Upstreams: upstreams.map((upstream) => ({
            DestinationName: upstream.service,
            Datacenter: upstream.datacenter,
            LocalBindAddress: address,
            LocalBindPort: upstream.port,
          })),
        },
      },
    },
  };
}

/** Registers the service and starts its application and sidecar; they end with the stack. Not waited for. */
export async function startService(
  stack: AsyncDisposableStack,
  controlPlane: ControlPlane,
  options: ServiceOptions,
): Promise<Service> {
  const { name, address } = options;
  const kind = options.app ?? "echo";
  const app = kind === "none" ? undefined : stack.use(await startApp(address, ports.app, kind));
  await controlPlane.api.put("/v1/agent/service/register", registration(options));
  const sidecar = stack.use(await startProxy(controlPlane, `${name}-sidecar-proxy`));
  return { name, address, app, sidecar, dial: (port) => dial(address, port) };
}

/** Registers a mesh gateway and starts it. Not waited for. */
export async function startGateway(
  stack: AsyncDisposableStack,
  controlPlane: ControlPlane,
  name: string,
  address: string,
): Promise<RunningProxy> {
  const at = { Address: address, Port: ports.gateway };
  await controlPlane.api.put("/v1/agent/service/register", {
    Kind: "mesh-gateway",
    Name: name,
    ...at,
    TaggedAddresses: { lan: at, wan: at },
  });
  return stack.use(await startProxy(controlPlane, name));
}
