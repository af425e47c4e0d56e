/** A real Envoy for tests: found, started with a minimal bootstrap, asked over its admin socket, stopped by its pid. */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Pair } from "./certificates.test.support.ts";

/** Path of Envoy: `ISTHMUS_ENVOY`, else the one on PATH; undefined when there is none. */
export function findEnvoy(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const candidates = [process.env["ISTHMUS_ENVOY"] ?? "", ...folders.map((folder) => join(folder, "envoy"))];
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return path !== "";
    } catch {
      return false;
    }
  });
}

/** Waits for a condition. @throws {Error} naming it when the deadline passes. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 8000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await delay(10);
  }
}

export interface TestEnvoy extends AsyncDisposable {
  readonly process: ChildProcess;
  /** Answer of an admin path. */
  admin(path: string): Promise<string>;
  /** Value of a counter or gauge; 0 when there is none. */
  stat(name: string): Promise<number>;
  logs(): Promise<string>;
}

export interface EnvoyInput {
  readonly binary: string;
  readonly nodeId: string;
  readonly identity: Pair;
  readonly serverRoot: string;
  readonly serverName: string;
  readonly port: number;
}

export async function startEnvoy(input: EnvoyInput): Promise<TestEnvoy> {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-ads-"));
  const socket = join(folder, "admin.sock");
  const log = join(folder, "envoy.log");
  const config = join(folder, "bootstrap.json");
  await writeFile(config, JSON.stringify(bootstrap(input, socket)), { mode: 0o600 });
  const flags = ["-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-path", log, "--drain-time-s", "0"];
  const child = spawn(input.binary, flags, { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));

  const admin = (path: string) =>
    new Promise<string>((resolve, reject) => {
      const outgoing = request({ socketPath: socket, path, method: "GET" }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          body += chunk;
        });
        response.on("end", () => resolve(body));
      });
      outgoing.on("error", reject);
      outgoing.end();
    });

  return {
    process: child,
    admin,
    async stat(name) {
      const text = await admin(`/stats?filter=^${name.replaceAll(".", "\\.")}$`);
      return Number(text.split(": ")[1] ?? 0);
    },
    logs: () => readFile(log, "utf8"),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function bootstrap(input: EnvoyInput, adminSocket: string): object {
  const grpc = {
    api_type: "DELTA_GRPC",
    transport_api_version: "V3",
    set_node_on_first_message_only: true,
    grpc_services: [
      {
        envoy_grpc: {
          cluster_name: "control_plane",
          retry_policy: { retry_back_off: { base_interval: "0.05s", max_interval: "0.5s" } },
        },
      },
    ],
  };
  const ads = { ads: {}, resource_api_version: "V3" };
  return {
    node: { id: input.nodeId, cluster: "test" },
    admin: { address: { pipe: { path: adminSocket } } },
    dynamic_resources: { ads_config: grpc, cds_config: ads, lds_config: ads },
    hds_config: { ...grpc, api_type: "GRPC", set_node_on_first_message_only: undefined },
    static_resources: { clusters: [controlPlaneCluster(input)] },
  };
}

function controlPlaneCluster({ port, identity, serverRoot, serverName }: EnvoyInput): object {
  const endpoint = { address: { socket_address: { address: "127.0.0.1", port_value: port } } };
  return {
    name: "control_plane",
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: { cluster_name: "control_plane", endpoints: [{ lb_endpoints: [{ endpoint }] }] },
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    transport_socket: {
      name: "tls",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni: serverName,
        common_tls_context: {
          alpn_protocols: ["h2"],
          tls_params: { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_3" },
          tls_certificates: [
            { certificate_chain: { inline_string: identity.cert }, private_key: { inline_string: identity.key } },
          ],
          validation_context: {
            trusted_ca: { inline_string: serverRoot },
            match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: serverName } }],
          },
        },
      },
    },
  };
}
