/** Real Envoys without Pulumi: sidecars and gateways whose identity and bootstrap come from a control plane's API. */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IdentityResponse, ProxyStatus } from "../../provider/src/model/isthmus-api.ts";
import type { ControlPlane } from "./control-planes.ts";
import { envoyForTests } from "./envoy.ts";
import { eventually } from "./wait.ts";

export interface RunningProxy {
  readonly id: string;
  readonly pid: number;
  /** GET of an admin path; the body as text. */
  admin(path: string): Promise<string>;
  /** Sum of the counters and gauges whose name matches. */
  counter(name: RegExp): Promise<number>;
  /** As its control plane sees it. */
  status(): Promise<ProxyStatus>;
  /** Resolves when its whole configuration is acknowledged. */
  ready(): Promise<ProxyStatus>;
  log(): string;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again with the files that it has. */
  start(): Promise<void>;
  /** Gets a new client certificate, with that token or the management token, and puts it where Envoy watches. */
  renewIdentity(token?: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const flags = ["--concurrency", "1", "--disable-hot-restart", "--drain-time-s", "1", "-l", "warning"];

/** Starts the Envoy of a registered sidecar or gateway. The caller waits for what it needs. */
export async function startProxy(controlPlane: ControlPlane, id: string): Promise<RunningProxy> {
  const binary = await envoyForTests();
  const folder = await mkdtemp(join(tmpdir(), "isthmus-envoy-"));
  const files = {
    identity: join(folder, "identity.json"),
    bootstrap: join(folder, "bootstrap.json"),
    admin: join(folder, "admin.sock"),
  };
  const output: Buffer[] = [];
  let child: ChildProcess | undefined;
  let ended: Promise<unknown> = Promise.resolve();

  const renewIdentity = async (token?: string): Promise<void> => {
    const keys = generateKeyPairSync("ec", {
      namedCurve: "P-256",
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    const body = { PublicKey: keys.publicKey, IdentityFile: files.identity, AdminSocket: files.admin };
    const path = `/v1/isthmus/proxies/${id}/identity`;
    const { status: code, text, json } = await controlPlane.api.call("PUT", path, body, token);
    if (code !== 200) throw new Error(`identity of ${id}: ${code} ${text}`);
    const answer = json as IdentityResponse;
    await writeFile(files.bootstrap, JSON.stringify(answer.Bootstrap), { mode: 0o600 });
    await writeFile(`${files.identity}.next`, secretFile(answer.CertificateChain, keys.privateKey), { mode: 0o600 });
    await rename(`${files.identity}.next`, files.identity);
  };
  const start = async (): Promise<void> => {
    await rm(files.admin, { force: true });
    const started = spawn(binary, ["-c", files.bootstrap, ...flags], { stdio: ["ignore", "ignore", "pipe"] });
    child = started;
    started.stderr.on("data", (chunk: Buffer) => output.push(chunk));
    ended = new Promise((resolve) => started.once("close", resolve));
  };
  const kill = async (): Promise<void> => {
    child?.kill("SIGKILL");
    await ended;
  };
  const admin = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const outgoing = request({ socketPath: files.admin, path }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => resolve(Buffer.concat(chunks).toString()));
      });
      outgoing.on("error", reject);
      outgoing.end();
    });
  const status = () => controlPlane.operator.get<ProxyStatus>(`/v1/isthmus/proxies/${id}`);

  await renewIdentity();
  await start();
  return {
    id,
    get pid() {
      return child?.pid ?? 0;
    },
    admin,
    counter: async (name) => {
      const { stats } = JSON.parse(await admin("/stats?format=json")) as { stats: { name?: string; value?: number }[] };
      return stats.filter((one) => one.name && name.test(one.name)).reduce((sum, one) => sum + (one.value ?? 0), 0);
    },
    status,
    ready: () =>
      eventually(`proxy ${id} is ready`, async () => {
        const now = await status();
        if (now.Ready) return now;
        throw new Error(`${JSON.stringify(now)}\n${Buffer.concat(output).toString().slice(-1_000)}`);
      }),
    log: () => Buffer.concat(output).toString(),
    kill,
    start,
    renewIdentity,
    [Symbol.asyncDispose]: async () => {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** How often Envoy has taken in, changed or dropped a listener or cluster: flat while nothing is reloaded. */
export async function reloads(proxy: RunningProxy): Promise<number> {
  return proxy.counter(/^(listener_manager\.listener|cluster_manager\.cluster)_(added|modified|removed)$/);
}

function secretFile(chain: string, key: string): string {
  return JSON.stringify({
    resources: [
      {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        name: "identity",
        tls_certificate: { certificate_chain: { inline_string: chain }, private_key: { inline_string: key } },
      },
    ],
  });
}
