/** A request as route handlers see it, and what they answer. */

import type { Authorizer } from "../../model/authorizer.ts";
import { MeshError } from "../../model/errors.ts";

export type Method = "GET" | "PUT" | "POST" | "DELETE";

export interface Call {
  readonly method: Method;
  readonly path: string;
  /** Values of the `:name` segments, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The datacenter asked for with `?dc=` when it is not our own. */
  readonly datacenter: string | undefined;
  /** Secret from the request's headers. */
  readonly token: string | undefined;
  /** Came by the Unix socket. */
  readonly operator: boolean;
  /** What the caller may do now: asked anew each time. @throws {MeshError} `unauthenticated` for an unknown token. */
  authorizer(): Authorizer;
  /** The body's bytes, read once. @throws {MeshError} `invalid` when it is too large or too slow. */
  bytes(): Promise<Uint8Array>;
  /** The body as JSON; undefined for an empty one. @throws {MeshError} `invalid` */
  json(): Promise<unknown>;
  /** Aborted when the client goes away or the server stops. */
  readonly signal: AbortSignal;
}

/** An answer: JSON unless it says `text`. */
export interface Reply {
  readonly status?: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: Method;
  /** `/v1/catalog/service/:name` */
  readonly path: string;
  /** In a secondary the primary answers, if this holds. */
  readonly toPrimary?: (call: Call) => boolean | Promise<boolean>;
  /** The query that the primary gets instead of the caller's. */
  readonly forwardedQuery?: (call: Call) => URLSearchParams | Promise<URLSearchParams>;
  /** Answers for other datacenters too, from what they let us know. */
  readonly anyDatacenter?: boolean;
  readonly handle: (call: Call) => Reply | Promise<Reply>;
}

/** A JSON answer; with an index when it was read or written at one. */
export function json(value: unknown, index?: number): Reply {
  return index === undefined
    ? { json: value }
    : { json: value, headers: { "X-Consul-Index": String(Math.max(1, index)) } };
}

/** An empty answer to a write that was done at an index. */
export function written(index: number): Reply {
  return { text: "", headers: { "X-Consul-Index": String(Math.max(1, index)) } };
}

/** A segment of the path that the route has. */
export function param(call: Call, name: string): string {
  const value = call.params[name];
  if (value === undefined) throw new MeshError("internal", `route ${call.path} has no :${name}`);
  return value;
}

/** True for `?name`, `?name=` and `?name=true`. @throws {MeshError} `invalid` for anything but a truth value. */
export function flag(call: Call, name: string): boolean {
  const value = call.query.get(name);
  if (value === null || value === "false" || value === "0") return false;
  if (value === "" || value === "true" || value === "1") return true;
  throw new MeshError("invalid", `query parameter "${name}": write true or false, not ${JSON.stringify(value)}`);
}
