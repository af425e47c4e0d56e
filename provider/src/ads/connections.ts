/** TCP listeners in front of the xDS server: counts connections, refuses what is too many, and can cut one for good. */
import { createServer, type Server, type Socket } from "node:net";
import { MeshError } from "../model/errors.ts";

export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}

export interface Connections {
  /**
   * Listens on one more address; port 0 takes a free one.
   * @returns the port.
   * @throws {MeshError} `unavailable` when the address cannot be had.
   */
  listen(address: string, port: number): Promise<number>;
  /** Cuts the connection from this peer, `address:port`. */
  cut(peer: string): void;
  /** Stops listening and cuts every connection. */
  close(): Promise<void>;
}

/** Listeners whose accepted sockets go to `accept`. */
export function createConnections(limits: ConnectionLimits, accept: (socket: Socket) => void): Connections {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const perAddress = new Map<string, number>();

  function onConnection(socket: Socket): void {
    const address = socket.remoteAddress ?? "";
    const count = (perAddress.get(address) ?? 0) + 1;
    if (sockets.size >= limits.maxConnections || count > limits.maxConnectionsPerAddress) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    perAddress.set(address, count);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      sockets.delete(socket);
      const left = (perAddress.get(address) ?? 1) - 1;
      if (left === 0) perAddress.delete(address);
      else perAddress.set(address, left);
    });
    accept(socket);
  }

  return {
    async listen(address, port) {
      const server = createServer({ noDelay: true }, onConnection);
      await new Promise<void>((resolve, reject) => {
        server.once("error", (cause) => {
          reject(new MeshError("unavailable", `xDS cannot listen on ${address}:${port}: ${cause.message}`, { cause }));
        });
        server.listen(port, address, resolve);
      });
      servers.push(server);
      const bound = server.address();
      return typeof bound === "object" && bound !== null ? bound.port : port;
    },
    cut(peer) {
      for (const socket of sockets) if (`${socket.remoteAddress}:${socket.remotePort}` === peer) socket.destroy();
    },
    async close() {
      const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}
