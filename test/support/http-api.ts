/** A control plane's HTTP API as a client from outside sees it: HTTPS with the pinned root, or the operator's socket. */
import { request as plainRequest, type RequestOptions } from "node:http";
import { Agent, request as tlsRequest } from "node:https";

// biome-ignore lint/suspicious/noExplicitAny: a test reads any answer's fields
type Json = any;

/** What a request was answered with. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly json: Json;
  /** `X-Consul-Index`; 0 without one. */
  readonly index: number;
}

export interface HttpApi {
  /** Any answer; rejects only when there is none. */
  call(method: string, path: string, body?: unknown, token?: string): Promise<Answer>;
  /** The JSON of an answer with 200. @throws with status and text of any other */
  get<T = Json>(path: string): Promise<T>;
  put<T = Json>(path: string, body?: unknown): Promise<T>;
  delete(path: string): Promise<void>;
}

/** A client whose requests carry the token, unless a call brings its own. */
export function httpApi(
  target: { readonly socket: string } | { readonly host: string; readonly port: number; readonly root: string },
  token?: string,
): HttpApi {
  const agent = "socket" in target ? undefined : new Agent({ keepAlive: true, ca: target.root });
  const where: RequestOptions =
    "socket" in target ? { socketPath: target.socket } : { host: target.host, port: target.port, agent: agent! };
  const request = "socket" in target ? plainRequest : tlsRequest;

  const call: HttpApi["call"] = (method, path, body, own = token) =>
    new Promise((resolve, reject) => {
      const content = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
      const headers = { "content-length": Buffer.byteLength(content), ...(own ? { "x-consul-token": own } : {}) };
      const outgoing = request({ ...where, method, path, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          const isJson = response.headers["content-type"]?.startsWith("application/json");
          resolve({
            status: response.statusCode ?? 0,
            text,
            json: isJson ? JSON.parse(text) : undefined,
            index: Number(response.headers["x-consul-index"] ?? 0),
          });
        });
      });
      outgoing.on("error", reject);
      outgoing.end(content);
    });
  const good = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const answer = await call(method, path, body);
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer;
  };
  return {
    call,
    get: async (path) => (await good("GET", path)).json,
    put: async (path, body) => (await good("PUT", path, body)).json,
    delete: async (path) => void (await good("DELETE", path)),
  };
}
