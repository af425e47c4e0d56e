/** Reads connection counters from an Envoy's admin socket. */
import { request } from "node:http";
import type { Duplex } from "node:stream";
import { MeshError } from "../model/errors.ts";

const TIMEOUT_MS = 5_000;

/** Accepted connections of every listener but the admin's; names with a worker are parts of the same sum. */
const FILTER = String.raw`^listener\..*downstream_cx_total$`;

interface StatsResponse {
  readonly stats: readonly { readonly name?: string; readonly value?: number }[];
}

/** How many connections the Envoy behind `socket` has accepted since it started. @throws {MeshError} `unavailable`. */
export async function acceptedConnections(socket: Duplex): Promise<number> {
  return sumConnections(
    JSON.parse(await httpGet(socket, `/stats?format=json&filter=${encodeURIComponent(FILTER)}`)) as StatsResponse,
  );
}

/** The sum over real listeners. Pure. */
export function sumConnections({ stats }: StatsResponse): number {
  return stats
    .filter(({ name = "" }) => !name.startsWith("listener.admin.") && !/\.worker_\d+\./.test(name))
    .reduce((sum, { value = 0 }) => sum + value, 0);
}

function httpGet(socket: Duplex, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string, cause?: Error) =>
      reject(new MeshError("unavailable", `Envoy's admin socket, GET ${path.split("?")[0]}: ${reason}`, { cause }));
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const sent = request(
      { createConnection: () => socket, path, headers: { host: "admin", connection: "close" }, signal },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", (error) => fail(error.message, error));
        response.on("end", () => {
          socket.destroy();
          if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString());
          else fail(`status ${response.statusCode}`);
        });
      },
    );
    sent.on("error", (error) => fail(error.message, error));
    sent.end();
  });
}
