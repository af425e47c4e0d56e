/** The HTTP API: from a request on any server to an answer. Knows Consul's headers; the routes know everything else. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { MeshError, type MeshErrorCode, toMeshError } from "../../model/errors.ts";
import { aclRoutes } from "./acl.ts";
import { agentCheckRoutes } from "./agent-check.ts";
import { agentServiceRoutes } from "./agent-service.ts";
import type { Call, Method, Reply, Route } from "./call.ts";
import { catalogRoutes } from "./catalog.ts";
import { catalogRegisterRoutes } from "./catalog-register.ts";
import { configRoutes } from "./config.ts";
import { connectCaRoutes } from "./connect-ca.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { forwardToPrimary } from "./forwarding.ts";
import { healthRoutes } from "./health.ts";
import { intentionRoutes } from "./intentions.ts";
import { legacyIntentionRoutes } from "./intentions-legacy.ts";
import { isthmusRoutes } from "./isthmus.ts";
import { type BodyBudget, createBodyBudget, parseJson, readBody } from "./json-body.ts";
import { createApiMetrics } from "./metrics.ts";
import { checkQuery } from "./query.ts";
import { createRouter } from "./router.ts";
import { createSerial } from "./serial.ts";
import { statusRoutes } from "./status.ts";

export interface Api {
  /** Answers a request. `operator`: it came by the control plane's own Unix socket and may do everything unless it brings a token. */
  handler(request: IncomingMessage, response: ServerResponse, options: { readonly operator: boolean }): void;
  /** Ends every request that waits; they are answered with 503. */
  close(): void;
}

const statusOf: Readonly<Record<MeshErrorCode, number>> = {
  invalid: 400,
  unauthenticated: 403,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  conflict: 409,
  unavailable: 503,
  internal: 500,
};

type Answer = Reply & { readonly body?: Uint8Array };

export function createApi(deps: ApiDependencies): Api {
  const metrics = createApiMetrics();
  const serial = createSerial();
  const budget = createBodyBudget();
  const open = new Set<AbortController>();
  const router = createRouter(allRoutes());
  let closed = false;

  function allRoutes(): readonly Route[] {
    return [
      ...agentServiceRoutes(deps, serial),
      ...agentCheckRoutes(deps),
      ...catalogRoutes(deps),
      ...catalogRegisterRoutes(deps, serial),
      ...healthRoutes(deps),
      ...configRoutes(deps),
      ...intentionRoutes(deps),
      ...legacyIntentionRoutes(deps),
      ...connectCaRoutes(deps),
      ...aclRoutes(deps),
      ...statusRoutes(deps, metrics),
      ...isthmusRoutes(deps),
    ];
  }

  const answer = async (
    request: IncomingMessage,
    operator: boolean,
    signal: AbortSignal,
    released: Promise<unknown>,
    matched: (path: string) => void,
  ): Promise<Answer> => {
    const method = request.method ?? "";
    const url = parseUrl(request.url ?? "");
    const match = router.match(method === "HEAD" ? "GET" : method, url.pathname);
    if (match.found === "nothing") {
      const known =
        match.near.length > 0 ? ` Paths near it: ${match.near.join(", ")}` : " Paths begin with /v1/, as Consul's.";
      return { status: 404, text: `No such path.${known}` };
    }
    if (match.found === "method") {
      const allowed = match.allowed.join(", ");
      return { status: 405, text: `method ${method} not allowed; use ${allowed}`, headers: { Allow: allowed } };
    }
    const { route, params } = match;
    matched(route.path);
    checkQuery(url.searchParams);
    const token = tokenOf(request);
    const call = createCall(deps, {
      request,
      method: route.method,
      url,
      params,
      token,
      operator: operator && !namesCaller(request),
      datacenter: otherDatacenter(deps, url.searchParams),
      signal,
      budget,
      released,
    });
    return answerCall(deps, route, call);
  };

  return {
    handler: (request, response, { operator }) => {
      const controller = new AbortController();
      if (closed) controller.abort(stopping());
      open.add(controller);
      const started = deps.clock.now();
      let path = "unmatched";
      const released = new Promise<void>((resolve) => {
        response.once("close", () => {
          open.delete(controller);
          controller.abort(new MeshError("unavailable", "the client went away"));
          resolve();
        });
      });
      response.on("error", () => {}); // the client went away while it was being answered
      request.on("error", () => {});
      answer(request, operator, controller.signal, released, (route) => {
        path = route;
      })
        .catch((error: unknown) => failure(deps, error, path))
        .then((reply) => {
          metrics.answered(request.method ?? "", path, reply.status ?? 200, deps.clock.now() - started);
          send(
            deps,
            request,
            response,
            closed ? { ...reply, headers: { ...reply.headers, Connection: "close" } } : reply,
          );
        })
        .catch((error: unknown) => {
          deps.log.error({ path, error: toMeshError(error).message }, "an answer could not be sent");
          response.destroy();
        });
    },
    close: () => {
      closed = true;
      for (const controller of open) controller.abort(stopping());
    },
  };
}

async function answerCall(deps: ApiDependencies, route: Route, call: Call): Promise<Answer> {
  if (deps.primary) {
    const asked = call.datacenter === deps.primaryDatacenter && !route.anyDatacenter;
    if (asked || (await route.toPrimary?.(call))) {
      return forwardToPrimary(deps, deps.primary, call, (await route.forwardedQuery?.(call)) ?? call.query);
    }
  }
  if (call.datacenter !== undefined && !route.anyDatacenter) {
    throw new MeshError(
      "invalid",
      `dc "${call.datacenter}": this path answers for "${deps.datacenter}" only; ask that datacenter's own API`,
    );
  }
  // An unknown token is refused wherever it is sent, before anything is read.
  call.authorizer();
  return route.handle(call);
}

function parseUrl(target: string): URL {
  if (!target.startsWith("/") || !URL.canParse(target, "http://isthmus"))
    throw new MeshError("invalid", "the request's target is no path");
  return new URL(`http://isthmus${target}`);
}

/** @throws {MeshError} `invalid` for a datacenter that nobody has heard of. */
function otherDatacenter(deps: ApiDependencies, query: URLSearchParams): string | undefined {
  const name = query.get("dc");
  if (!name || name === deps.datacenter) return undefined;
  if (name === deps.primaryDatacenter || deps.store.get("datacenter", name)) return name;
  const known = [...new Set([deps.datacenter, ...deps.store.list("datacenter").map((record) => record.value.Name)])];
  throw new MeshError(
    "invalid",
    `No path to datacenter ${JSON.stringify(name.slice(0, 80))}; known are ${known.join(", ")}`,
  );
}

function tokenOf(request: IncomingMessage): string | undefined {
  const own = request.headers["x-consul-token"];
  const header =
    typeof own === "string" && own !== "" ? own : /^Bearer\s+(\S+)\s*$/i.exec(request.headers.authorization ?? "")?.[1];
  if (header && header.length > 256) throw new MeshError("unauthenticated", "ACL not found");
  return header || undefined;
}

/** An empty token names a caller too: the anonymous one, whose request somebody passes on. */
function namesCaller({ headers }: IncomingMessage): boolean {
  return headers["x-consul-token"] !== undefined || headers.authorization !== undefined;
}

function createCall(
  deps: ApiDependencies,
  from: {
    readonly request: IncomingMessage;
    readonly method: Method;
    readonly url: URL;
    readonly params: Readonly<Record<string, string>>;
    readonly token: string | undefined;
    readonly operator: boolean;
    readonly datacenter: string | undefined;
    readonly signal: AbortSignal;
    readonly budget: BodyBudget;
    readonly released: Promise<unknown>;
  },
): Call {
  let body: Promise<Uint8Array> | undefined;
  const bytes = (): Promise<Uint8Array> => {
    body ??= readBody(from.request, from.budget, from.released);
    return body;
  };
  return {
    method: from.method,
    path: from.url.pathname,
    params: from.params,
    query: from.url.searchParams,
    datacenter: from.datacenter,
    token: from.token,
    operator: from.operator,
    authorizer: () => (from.operator ? deps.acl.operator : deps.acl.resolve(from.token)),
    bytes,
    json: async () => parseJson(await bytes()),
    signal: from.signal,
  };
}

/** What went wrong, in words for the caller; what is our own fault stays in the log. */
function failure(deps: ApiDependencies, thrown: unknown, path: string): Answer {
  const error = toMeshError(thrown);
  const status = statusOf[error.code];
  if (error.code !== "internal") return { status, text: error.message };
  const id = deps.uuid();
  deps.log.error(
    { path, request: id, error: error.message, stack: thrown instanceof Error ? thrown.stack : undefined },
    "request failed",
  );
  return { status, text: `internal error; the control plane's log has it under request ${id}` };
}

function send(deps: ApiDependencies, request: IncomingMessage, response: ServerResponse, reply: Answer): void {
  if (response.destroyed || response.headersSent) return;
  const pretty = /[?&]pretty(=|&|$)/.test(request.url ?? "");
  const isJson = "json" in reply;
  const body =
    reply.body ??
    Buffer.from(isJson ? JSON.stringify(reply.json, undefined, pretty ? 4 : undefined) : (reply.text ?? ""));
  response.statusCode = reply.status ?? 200;
  response.setHeader("Content-Type", reply.contentType ?? (isJson ? "application/json" : "text/plain; charset=utf-8"));
  response.setHeader("Content-Length", body.length);
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("X-Consul-KnownLeader", "true");
  response.setHeader("X-Consul-LastContact", "0");
  response.setHeader("X-Consul-Default-Acl-Policy", deps.acl.enabled ? deps.acl.defaultPolicy : "allow");
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
  // What was not read of a body is not waited for.
  if (!request.complete) response.setHeader("Connection", "close");
  response.end(body);
}

function stopping(): MeshError {
  return new MeshError("unavailable", "the control plane is stopping; try again");
}
