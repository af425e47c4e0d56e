/** Real control planes on loopback, without Pulumi: each a process of the bundle with its configuration and database in a folder. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ControlPlaneConfig, JoinResponse, StatusResponse } from "../../provider/src/model/isthmus-api.ts";
import { type HttpApi, httpApi } from "./http-api.ts";
import { eventually } from "./wait.ts";

const bundle = join(import.meta.dirname, "../../provider/dist/control-plane.mjs");

/** A control plane that can be killed and started again on the same folder and addresses. */
export interface ControlPlane {
  readonly config: ControlPlaneConfig;
  readonly folder: string;
  /** Its own Unix socket: may do everything. */
  readonly operator: HttpApi;
  /** HTTPS with the pinned root and the mesh's management token. */
  readonly api: HttpApi;
  readonly pid: number;
  /** What it has printed so far, over all its lives. */
  log(): string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** Starts it again; resolves when it serves, ready or not. */
  start(): Promise<void>;
  status(): Promise<StatusResponse>;
  ready(): Promise<StatusResponse>;
  [Symbol.asyncDispose](): Promise<void>;
}

export type ConfigChange = Partial<Pick<ControlPlaneConfig, "acl" | "ca" | "join" | "primaryDatacenter">>;

/** A network 127.x.y.0/24 of the test's own. */
export interface Loopback {
  address(host: number): string;
}

/** Picks one at random; the local runtime hands out its networks from the lowest number. */
export function loopback(): Loopback {
  const network = `127.${randomInt(200, 250)}.${randomInt(1, 250)}`;
  return { address: (host) => `${network}.${host}` };
}

/** Defaults of one datacenter's control plane. */
export function controlPlaneConfig(datacenter: string, address: string, mesh: string): ControlPlaneConfig {
  return {
    mesh,
    datacenter,
    primaryDatacenter: datacenter,
    bind: [address],
    lanAddress: address,
    wanAddress: address,
    ports: { https: 8501, grpcTls: 8503, server: 8300 },
    connect: { enabled: true },
    enableCentralServiceConfig: true,
    acl: { enabled: true, defaultPolicy: "deny" },
    ca: { leafTtlSeconds: 3_600, intermediateTtlSeconds: 86_400, rootTtlSeconds: 864_000 },
  };
}

/** Starts a control plane and waits until its API answers. `token` is asked when its `api` is first used. */
export async function startControlPlane(config: ControlPlaneConfig, token?: () => string): Promise<ControlPlane> {
  const folder = await mkdtemp(join(tmpdir(), `isthmus-${config.datacenter}-`));
  const path = join(folder, "config.json");
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  const operator = httpApi({ socket: join(folder, "api.sock") });
  const output: Buffer[] = [];
  let child: ChildProcess | undefined;
  let ended: Promise<number | null> = Promise.resolve(null);
  let root = "";
  let api: HttpApi | undefined;

  const log = () => Buffer.concat(output).toString();
  const start = async (): Promise<void> => {
    const started = spawn(process.execPath, [bundle, "--config", path], { stdio: ["ignore", "pipe", "pipe"] });
    child = started;
    for (const stream of [started.stdout, started.stderr]) stream.on("data", (chunk: Buffer) => output.push(chunk));
    ended = new Promise((resolve) => started.once("close", resolve));
    await eventually(`control plane of ${config.datacenter} answers`, async () => {
      if (started.exitCode !== null) throw new Error(`it ended with ${started.exitCode}:\n${log()}`);
      return (await operator.call("GET", "/v1/isthmus/status")).status === 200;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${log()}`);
    });
    root = (await operator.get<JoinResponse>("/v1/isthmus/join")).ControlRoot;
  };
  const end = async (signal: "SIGKILL" | "SIGTERM"): Promise<number | null> => {
    child?.kill(signal);
    return ended;
  };
  try {
    await start();
  } catch (error) {
    await end("SIGKILL");
    throw error;
  }
  const status = () => operator.get<StatusResponse>("/v1/isthmus/status");
  return {
    config,
    folder,
    operator,
    get api() {
      api ??= httpApi({ host: config.lanAddress, port: config.ports.https, root }, token?.());
      return api;
    },
    get pid() {
      return child?.pid ?? 0;
    },
    log,
    kill: async () => void (await end("SIGKILL")),
    stop: () => end("SIGTERM"),
    start,
    status,
    ready: () =>
      eventually(`${config.datacenter} is ready`, async () => {
        const now = await status();
        if (now.Ready) return now;
        throw new Error(`it waits for ${now.Waiting.join(", ")}`);
      }),
    [Symbol.asyncDispose]: async () => {
      await end("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Two datacenters: `dc1` is the primary and `dc2` has joined it. */
export interface Federation {
  readonly dc1: ControlPlane;
  readonly dc2: ControlPlane;
  readonly loopback: Loopback;
  readonly mesh: string;
  /** Secret of the management token. */
  readonly token: string;
  /** One more datacenter, not waited for. */
  join(datacenter: string, host: number, change?: ConfigChange): Promise<ControlPlane>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Rules of a replication token. */
const replicationRules = 'acl = "write" operator = "write" service_prefix "" { policy = "read" }';

/** Hosts 1 and 2 of the loopback network are the control planes'. */
export async function startFederation(change: ConfigChange = {}): Promise<Federation> {
  const network = loopback();
  const mesh = randomBytes(4).toString("hex");
  const stack = new AsyncDisposableStack();
  try {
    let secret = "";
    const dc1 = stack.use(
      await startControlPlane({ ...controlPlaneConfig("dc1", network.address(1), mesh), ...change }, () => secret),
    );
    await dc1.ready();
    if (dc1.config.acl.enabled) secret = (await dc1.operator.put("/v1/acl/bootstrap")).SecretID;

    const join_: Federation["join"] = async (datacenter, host, own = {}) => {
      const config = {
        ...controlPlaneConfig(datacenter, network.address(host), mesh),
        ...change,
        primaryDatacenter: "dc1",
        join: own.join ?? (await joinOf(dc1, datacenter)),
        ...own,
      };
      return stack.use(await startControlPlane(config, () => secret));
    };
    const dc2 = await join_("dc2", 2);
    await dc2.ready();
    return {
      dc1,
      dc2,
      loopback: network,
      mesh,
      token: secret,
      join: join_,
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** How a datacenter joins, with a replication token of its own. */
async function joinOf(primary: ControlPlane, datacenter: string): Promise<NonNullable<ControlPlaneConfig["join"]>> {
  const { Address, ControlRoot } = await primary.operator.get<JoinResponse>("/v1/isthmus/join");
  const join = { address: Address, controlRoot: ControlRoot };
  if (!primary.config.acl.enabled) return { ...join, token: "unused" };
  const name = `replication-${datacenter}`;
  const { ID } = await primary.api.put("/v1/acl/policy", { Name: name, Rules: replicationRules });
  const { SecretID } = await primary.api.put("/v1/acl/token", { Description: name, Policies: [{ ID }] });
  return { ...join, token: SecretID };
}
