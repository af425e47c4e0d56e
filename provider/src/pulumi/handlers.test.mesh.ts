/** For tests: a runtime in memory that keeps the interface's promises, and a real HTTP server that answers as a control plane. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { MeshError } from "../model/errors.ts";
import type { Owner, ProcessSpec, ProcessState, Runtime, UnitId, UnitState } from "../runtime/runtime.ts";
import { openApi } from "./api-client.ts";
import type { HandlerContext } from "./context.ts";

const keyOf = (id: UnitId): string => `${id.mesh}/${id.datacenter}/${id.role}/${id.name}`;

interface MemoryUnit {
  state: UnitState;
  readonly files: Map<string, string>;
  readonly specs: Map<string, ProcessSpec>;
}

/** What a test can see and do beside the interface. */
export interface TestMesh {
  readonly context: HandlerContext;
  readonly runtime: Runtime;
  readonly units: Map<string, MemoryUnit>;
  /** Requests that the control planes were sent: `PUT /v1/…`, with the token's secret behind it where there was one. */
  readonly requests: string[];
  readonly bodies: Map<string, unknown>;
  readonly logs: string[];
  /** Services and so on of a datacenter's control plane. */
  plane(datacenter: string): TestPlane;
  /** Ends a process as a crash would. */
  crash(unit: string, process: string): void;
  /** Another version of the control plane is installed. */
  upgrade(): void;
  /** Time passes. */
  advance(ms: number): void;
}

/** State behind a test's control plane. */
export interface TestPlane {
  readonly services: Map<string, Record<string, unknown>>;
  readonly tokens: Map<string, Record<string, unknown>>;
  readonly policies: Map<string, Record<string, unknown>>;
  readonly config: Map<string, Record<string, unknown>>;
  readonly intentions: Map<string, Record<string, unknown>>;
  ready: boolean;
  aclOff: boolean;
}

function newPlane(): TestPlane {
  return {
    services: new Map(),
    tokens: new Map(),
    policies: new Map(),
    config: new Map(),
    intentions: new Map(),
    ready: true,
    aclOff: false,
  };
}

type Answer = { readonly status: number; readonly body?: unknown };
const ok = (body?: unknown): Answer => ({ status: 200, body });
const missing: Answer = { status: 404, body: "not found" };
const found = (value: unknown): Answer => (value === undefined ? missing : ok(value));

/** The paths that handlers use, with the state they need. */
function answer(
  datacenter: string,
  plane: TestPlane,
  method: string,
  url: URL,
  body: Record<string, unknown>,
  primaryOf: (datacenter: string) => string,
  now: number,
): Answer {
  const { pathname } = url;
  const last = decodeURIComponent(pathname.split("/").at(-1) ?? "");
  const route = `${method} ${pathname}`;
  if (plane.aclOff && pathname.startsWith("/v1/acl/")) return { status: 401, body: "ACL support disabled" };
  if (route === "GET /v1/isthmus/status") {
    return ok({
      Datacenter: datacenter,
      PrimaryDatacenter: primaryOf(datacenter),
      TrustDomain: "t.consul",
      Ready: plane.ready,
      Waiting: plane.ready ? [] : ["a CA"],
    });
  }
  if (route === "GET /v1/isthmus/join")
    return ok({ Datacenter: datacenter, ControlRoot: `root of ${datacenter}`, Address: "10.0.0.1:8300" });
  if (method === "DELETE" && pathname.startsWith("/v1/isthmus/datacenters/")) return ok(true);
  if (method === "PUT" && pathname.endsWith("/identity")) {
    return ok({
      CertificateChain: "chain",
      NotAfter: new Date(now + 1_000_000).toISOString(),
      Bootstrap: { node: pathname.split("/").at(-2) },
    });
  }
  if (method === "GET" && pathname.startsWith("/v1/isthmus/proxies/"))
    return ok({ ProxyID: last, Ready: true, Types: [] });
  if (route === "PUT /v1/agent/service/register") {
    plane.services.set(String(body["ID"]), body);
    return ok();
  }
  if (method === "PUT" && pathname.startsWith("/v1/agent/service/deregister/"))
    return plane.services.delete(last) ? ok() : missing;
  if (route === "GET /v1/agent/services") {
    const sidecars = [...plane.services.values()].flatMap((service) => {
      const sidecar = (service["Connect"] as { SidecarService?: { Proxy: object } } | undefined)?.SidecarService;
      return sidecar
        ? [{ Kind: "connect-proxy", Proxy: { ...sidecar.Proxy, DestinationServiceName: service["Name"] } }]
        : [];
    });
    return ok(Object.fromEntries(sidecars.entries()));
  }
  if (route === "PUT /v1/acl/token" || (method === "PUT" && pathname.startsWith("/v1/acl/token/"))) {
    const accessor = String(body["AccessorID"]);
    const secret = plane.tokens.get(accessor)?.["SecretID"] ?? randomUUID();
    plane.tokens.set(accessor, { ...body, SecretID: secret });
    return ok(plane.tokens.get(accessor));
  }
  if (pathname.startsWith("/v1/acl/token/")) {
    return method === "GET" ? found(plane.tokens.get(last)) : plane.tokens.delete(last) ? ok(true) : missing;
  }
  if (route === "GET /v1/acl/policies") return ok([...plane.policies.values()]);
  if (route === "PUT /v1/acl/policy" || (method === "PUT" && pathname.startsWith("/v1/acl/policy/"))) {
    const id = String(body["ID"] ?? randomUUID());
    plane.policies.set(id, { Description: "", ...body, ID: id });
    return ok(plane.policies.get(id));
  }
  if (pathname.startsWith("/v1/acl/policy/")) {
    return method === "GET" ? found(plane.policies.get(last)) : plane.policies.delete(last) ? ok(true) : missing;
  }
  if (route === "PUT /v1/config") {
    plane.config.set(`${body["Kind"]}/${body["Name"]}`, body);
    return ok(true);
  }
  if (method === "GET" && /^\/v1\/config\/[^/]+$/.test(pathname)) {
    return ok([...plane.config].filter(([key]) => key.startsWith(`${last}/`)).map(([, value]) => value));
  }
  if (pathname.startsWith("/v1/config/")) {
    const key = pathname.slice("/v1/config/".length);
    return method === "GET" ? found(plane.config.get(key)) : plane.config.delete(key) ? ok(true) : missing;
  }
  if (pathname === "/v1/connect/intentions/exact") {
    const key = `${url.searchParams.get("source")}/${url.searchParams.get("destination")}`;
    if (method === "GET") return found(plane.intentions.get(key));
    if (method === "PUT") plane.intentions.set(key, body);
    else plane.intentions.delete(key);
    return ok(true);
  }
  return { status: 500, body: `the test's control plane has no ${route}` };
}

/** Opens the test's world; `close` ends its server. */
export async function openTestMesh(): Promise<TestMesh & AsyncDisposable> {
  const units = new Map<string, MemoryUnit>();
  const planes = new Map<string, TestPlane>();
  const requests: string[] = [];
  const bodies = new Map<string, unknown>();
  const logs: string[] = [];
  const servers = new Map<string, Server>();
  let skipped = 0;
  const now = (): number => Date.now() + skipped;
  let addresses = 0;
  let bundle = "bundle 1";
  const plane = (datacenter: string): TestPlane => {
    const known = planes.get(datacenter) ?? newPlane();
    planes.set(datacenter, known);
    return known;
  };
  const primaryOf = (datacenter: string): string => {
    const unit = [...units.values()].find(
      (one) => one.state.id.role === "control-plane" && one.state.id.datacenter === datacenter,
    );
    return (
      (JSON.parse(unit?.files.get("config.json") ?? "{}") as { primaryDatacenter?: string }).primaryDatacenter ??
      datacenter
    );
  };

  const serve = async (datacenter: string): Promise<Server> => {
    const server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const text = Buffer.concat(parts).toString();
      const body = text ? (JSON.parse(text) as Record<string, unknown>) : {};
      const url = new URL(request.url ?? "/", "http://test");
      const line = `${datacenter} ${request.method} ${url.pathname}`;
      const token = request.headers["x-consul-token"];
      if (request.method !== "GET") {
        requests.push(token ? `${line} as ${token}` : line);
        bodies.set(line, body);
      }
      const { status, body: said } = answer(
        datacenter,
        plane(datacenter),
        request.method ?? "",
        url,
        body,
        primaryOf,
        now(),
      );
      response.writeHead(status, { "X-Consul-Index": "7" });
      response.end(said === undefined ? "" : typeof said === "string" ? said : JSON.stringify(said));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return server;
  };

  const need = (id: UnitId): MemoryUnit => {
    const unit = units.get(keyOf(id));
    if (!unit) throw new MeshError("not_found", `no unit ${keyOf(id)}`);
    return unit;
  };
  const setProcess = (unit: MemoryUnit, state: ProcessState): void => {
    const others = unit.state.processes.filter((one) => one.name !== state.name);
    unit.state = { ...unit.state, processes: [...others, state] };
  };
  const runtime: Runtime = {
    kind: "local",
    async ensureUnit(id, owner: Owner, networks) {
      const unit = units.get(keyOf(id));
      if (unit && !isDeepStrictEqual({ ...unit.state.owner }, { ...owner })) {
        throw new MeshError("already_exists", `${keyOf(id)} belongs to ${unit.state.owner.resource}`);
      }
      const lan = unit?.state.placement.lan ?? `127.9.0.${++addresses}`;
      const placement = {
        lan,
        ...(networks.wan && { wan: lan.replace("127.9", "127.200") }),
        local: lan,
        directory: `/units/${id.name}`,
      };
      const processes = unit?.state.processes ?? [];
      const state: UnitState = { id, owner: { ...owner }, placement, processes };
      if (unit) unit.state = state;
      else units.set(keyOf(id), { state, files: new Map(), specs: new Map() });
      return placement;
    },
    async putFiles(id, files) {
      for (const file of files) need(id).files.set(file.path, String(file.content));
    },
    async ensureProcess(id, spec) {
      const unit = need(id);
      const digest = await runtime.digest(unit.state.placement, spec);
      const known = unit.state.processes.find((one) => one.name === spec.name);
      if (known?.running && known.digest === digest) return known;
      const failing = spec.program.type === "command" && spec.program.command === "false";
      const state: ProcessState = {
        name: spec.name,
        running: !failing,
        digest,
        restarts: 0,
        ...(failing && { exitCode: 1 }),
      };
      unit.specs.set(spec.name, spec);
      setProcess(unit, state);
      return state;
    },
    digest: async (_placement, spec) => `${bundle} ${JSON.stringify(spec)}`,
    async removeProcess(id, name) {
      const unit = need(id);
      unit.state = { ...unit.state, processes: unit.state.processes.filter((one) => one.name !== name) };
    },
    inspect: async (id) => units.get(keyOf(id))?.state,
    list: async (mesh) => [...units.values()].map((unit) => unit.state).filter((state) => state.id.mesh === mesh),
    logs: async () => "last words",
    async dial(id) {
      if (!need(id).state.processes.some((one) => one.running)) throw new MeshError("unavailable", "nothing listens");
      const server = servers.get(id.datacenter) ?? (await serve(id.datacenter));
      servers.set(id.datacenter, server);
      const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
      await once(socket, "connect");
      return socket;
    },
    async listeners(id) {
      const unit = need(id);
      const app = unit.specs.get("app");
      if (!unit.state.processes.some((one) => one.name === "app" && one.running) || !app) return [];
      const open = app.args.includes("--open");
      return [
        { address: open ? "0.0.0.0" : unit.state.placement.local, port: Number(app.env["ISTHMUS_SERVICE_PORT"]) },
      ];
    },
    async remove(id) {
      units.delete(keyOf(id));
    },
  };
  const context: HandlerContext = {
    openRuntime: async () => runtime,
    detectRuntime: async () => "local",
    findRuntimes: async function* () {
      yield runtime;
    },
    openApi,
    log: (line) => logs.push(line),
    now,
    deadlineMs: 1_000,
    diffMs: 1_000,
  };
  return {
    context,
    runtime,
    units,
    requests,
    bodies,
    logs,
    plane,
    crash(key, name) {
      const unit = units.get(key);
      const state = unit?.state.processes.find((one) => one.name === name);
      if (!unit || !state) throw new Error(`no process ${name} in ${key}`);
      setProcess(unit, { ...state, running: false });
    },
    upgrade() {
      bundle = "bundle 2";
    },
    advance(ms) {
      skipped += ms;
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers.values()) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}
