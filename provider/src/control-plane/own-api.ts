/** Requests that other datacenters passed on, answered by this control plane's own API through its operator socket. */
import { request } from "node:http";
import { MeshError } from "../model/errors.ts";

export interface OwnRequest {
  readonly method: string;
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  /** Undefined: as the operator. */
  readonly token: string | undefined;
  readonly body: string;
}

export interface OwnResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** @throws {MeshError} `unavailable` when the socket does not answer. */
export function askOwnApi(socketPath: string, asked: OwnRequest): Promise<OwnResponse> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => reject(new MeshError("unavailable", "the API does not answer", { cause }));
    const call = request(
      {
        socketPath,
        method: asked.method,
        path: asked.query ? `${asked.path}?${asked.query}` : asked.path,
        headers: {
          "content-length": Buffer.byteLength(asked.body),
          ...(asked.token === undefined ? {} : { "x-consul-token": asked.token }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", fail);
        response.on("end", () => {
          const headers = Object.fromEntries(
            Object.entries(response.headers).flatMap(([name, value]) =>
              typeof value === "string" ? [[name, value]] : [],
            ),
          );
          resolve({ status: response.statusCode ?? 500, headers, body: Buffer.concat(chunks).toString("utf8") });
        });
      },
    );
    call.on("error", fail);
    call.end(asked.body);
  });
}
