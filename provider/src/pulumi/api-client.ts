/** A client of a control plane's HTTP API, over a stream into its unit; nothing is published for it. */
import { Agent, type IncomingMessage, request } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { isMeshError, MeshError, type MeshErrorCode } from "../model/errors.ts";
import type { Runtime, UnitId } from "../runtime/runtime.ts";

/** What a read answered, and the index to block on for the next. */
export interface Answer<T> {
  readonly value: T;
  /** 0 when the answer had none. */
  readonly index: number;
}

export interface ReadOptions {
  /** Waits until something is newer than this. */
  readonly index?: number;
  /** How long to wait at most. */
  readonly waitMs?: number;
}

export interface WriteOptions {
  /** Secret of the token to act as. Without one the caller is the operator, who may do everything. */
  readonly token?: string;
}

/** All calls throw MeshError: the server's status as code and its text as message; `unavailable` when it cannot be reached. */
export interface ApiClient extends Disposable {
  get<T>(path: string, options?: ReadOptions): Promise<T>;
  /** Like get, with the index, for blocking reads. */
  read<T>(path: string, options?: ReadOptions): Promise<Answer<T>>;
  put<T>(path: string, body?: unknown, options?: WriteOptions): Promise<T>;
  delete(path: string): Promise<void>;
  /** Closes its connections, so that the process can end. */
  close(): void;
}

/** The unit of a datacenter's control plane. */
export function controlPlaneUnit(mesh: string, datacenter: string): UnitId {
  return { mesh, datacenter, role: "control-plane", name: datacenter };
}

const codes: Readonly<Record<number, MeshErrorCode>> = {
  400: "invalid",
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  409: "conflict",
  429: "unavailable",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
};

/**
 * The streams that a runtime dials are not always sockets: what an agent calls on a socket to keep it idle does nothing on
 * them.
 */
function socketLike(stream: Duplex): Duplex {
  if (stream instanceof Socket) return stream;
  const nothing = () => stream;
  return Object.assign(stream, {
    ref: nothing,
    unref: nothing,
    setKeepAlive: nothing,
    setTimeout: nothing,
    setNoDelay: nothing,
  });
}

/** Keeps connections over dialled streams for the next call. */
class DialAgent extends Agent {
  readonly #dial: () => Promise<Duplex>;

  constructor(dial: () => Promise<Duplex>) {
    super({ keepAlive: true, maxSockets: 4 });
    this.#dial = dial;
  }

  override createConnection(_options: unknown, callback?: (error: Error | null, stream: Duplex) => void): undefined {
    this.#dial().then(
      (stream) => callback?.(null, socketLike(stream)),
      (error: unknown) => callback?.(error as Error, undefined as never),
    );
  }
}

/** What the engine of a runtime may take to open a stream, and a server to answer what does not block. */
const answerMs = 15_000;

/** Opens a client; nothing is dialled before the first call. */
export function openApi(runtime: Runtime, mesh: string, datacenter: string): ApiClient {
  const unit = controlPlaneUnit(mesh, datacenter);
  const agent = new DialAgent(() => runtime.dial(unit, { socket: "api.sock" }));
  const unreachable = (cause: unknown): MeshError =>
    isMeshError(cause)
      ? cause
      : new MeshError("unavailable", `control plane of "${datacenter}" does not answer: ${(cause as Error).message}`, {
          cause,
        });

  const once = (method: string, path: string, body: string | undefined, token: string | undefined, timeoutMs: number) =>
    new Promise<{ response: IncomingMessage; text: string }>((resolve, reject) => {
      const headers: Record<string, string> = { Host: "isthmus", Accept: "application/json" };
      if (token !== undefined) headers["X-Consul-Token"] = token;
      if (body !== undefined) {
        headers["Content-Type"] = "application/json";
        headers["Content-Length"] = String(Buffer.byteLength(body));
      }
      const sent = request({ agent, method, path, headers }, (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("end", () => {
          clearTimeout(timer);
          resolve({ response, text: Buffer.concat(parts).toString("utf8") });
        });
        response.on("error", fail);
      });
      const fail = (error: Error): void => {
        clearTimeout(timer);
        reject(Object.assign(error, { reused: sent.reusedSocket }));
      };
      const timer = setTimeout(() => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      sent.on("error", fail);
      sent.end(body);
    });

  const call = async (method: string, path: string, body: unknown, token: string | undefined, waitMs: number) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const send = () => once(method, path, text, token, answerMs + waitMs);
    const answer = await send()
      // The server may close an idle connection just when it is used again: then nothing was done yet.
      .catch((error: Error & { code?: string; reused?: boolean }) => {
        if (error.reused && (error.code === "ECONNRESET" || error.code === "EPIPE")) return send();
        throw error;
      })
      .catch((error: unknown) => {
        throw unreachable(error);
      });
    const status = answer.response.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    const said = answer.text.trim() || `status ${status}`;
    throw new MeshError(codes[status] ?? "internal", `control plane of "${datacenter}": ${said}`);
  };

  const parse = <T>(path: string, text: string): T => {
    if (text === "") return undefined as T;
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new MeshError("internal", `control plane of "${datacenter}": ${path} answered something that is not JSON`, {
        cause,
      });
    }
  };

  return {
    async get<T>(path: string, options?: ReadOptions) {
      return (await this.read<T>(path, options)).value;
    },
    async read<T>(path: string, options: ReadOptions = {}) {
      const query = new URLSearchParams();
      if (options.index !== undefined) query.set("index", String(options.index));
      if (options.waitMs !== undefined) query.set("wait", `${options.waitMs}ms`);
      const full = query.size === 0 ? path : `${path}${path.includes("?") ? "&" : "?"}${query}`;
      const { response, text } = await call("GET", full, undefined, undefined, options.waitMs ?? 0);
      return { value: parse<T>(path, text), index: Number(response.headers["x-consul-index"] ?? 0) };
    },
    async put<T>(path: string, body?: unknown, options: WriteOptions = {}) {
      const { text } = await call("PUT", path, body, options.token, 0);
      return parse<T>(path, text);
    },
    async delete(path) {
      await call("DELETE", path, undefined, undefined, 0);
    },
    close: () => agent.destroy(),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/** The result, or undefined when what was asked for is not there. */
export async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isMeshError(error) && error.code === "not_found") return undefined;
    throw error;
  }
}

/**
 * The runtime that holds a datacenter's control plane; undefined when none does.
 * @throws {MeshError} `unavailable` when none does, but one of them could not be asked.
 */
export async function findRuntime(
  mesh: string,
  datacenter: string,
  runtimes: () => AsyncIterable<Runtime>,
): Promise<Runtime | undefined> {
  let failure: unknown;
  for await (const runtime of runtimes()) {
    try {
      if (await runtime.inspect(controlPlaneUnit(mesh, datacenter))) return runtime;
    } catch (error) {
      failure = error;
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}
