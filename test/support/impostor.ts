/** A TLS server that wants to be taken for another, and notes what its callers gave away. */
import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket } from "node:tls";

export interface Impostor extends AsyncDisposable {
  readonly port: number;
  /** How many callers ended the handshake. */
  readonly refused: () => number;
  /** Everything that callers said inside TLS. */
  readonly heard: () => string;
  /** Server names that were asked for. */
  readonly names: () => ReadonlySet<string>;
}

/** On 127.0.0.1, with this certificate chain and key (PEM). */
export async function impostor(pair: { readonly cert: string; readonly key: string }): Promise<Impostor> {
  const names = new Set<string>();
  const open = new Set<TLSSocket>();
  let [refused, heard] = [0, ""];
  const server = createServer({
    ...pair,
    requestCert: true,
    rejectUnauthorized: false,
    SNICallback: (name, done) => {
      names.add(name);
      done(null);
    },
  });
  server.on("tlsClientError", () => {
    refused += 1;
  });
  server.on("secureConnection", (socket) => {
    open.add(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      heard += chunk.toString();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    refused: () => refused,
    heard: () => heard,
    names: () => names,
    [Symbol.asyncDispose]: () => {
      for (const socket of open) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
