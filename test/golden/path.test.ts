/** The whole way in real Envoys: an application's plain connection, its sidecar, a gateway, the destination's sidecar, the destination. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { spiffeId } from "../../provider/src/model/identity.ts";
import type { MeshGatewaySnapshot, ProxySnapshot, SidecarSnapshot } from "../../provider/src/model/proxy-snapshot.ts";
import { resourcesFromSnapshot } from "../../provider/src/xds/resource-set.ts";
import { createTestAuthority, type TestAuthority } from "../support/certificates.ts";
import { type RunningEnvoy, runEnvoy } from "../support/envoy.ts";
import { freePort } from "../support/free-port.ts";
import { staticBootstrap } from "../support/resource-json.ts";
import { eventually } from "../support/wait.ts";

const trustDomain = "11111111-2222-3333-4444-555555555555.consul";

let folder: string;
let authority: TestAuthority;
let echo: Server;
const envoys: RunningEnvoy[] = [];
/** Local ports of web's upstreams: the real destination, and one whose sidecar has another identity than it should. */
const ports = { socat: 0, impostor: 0 };

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "path-"));
  authority = await createTestAuthority();
  echo = createServer((socket) => socket.on("error", () => {}).pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  const [socatPort, gatewayPort, webPort] = [await freePort(), await freePort(), await freePort()];
  ports.socat = await freePort();
  ports.impostor = await freePort();
  const at = (port: number) => [{ address: "127.0.0.1", port, healthy: true }];
  const gateway: MeshGatewaySnapshot = {
    kind: "mesh-gateway",
    proxyId: "gateway",
    datacenter: "dc1",
    trustDomain,
    listeners: [{ name: "default", address: "127.0.0.1", port: gatewayPort }],
    connectTimeoutMs: 1000,
    services: ["impostor", "socat"].map((service) => ({ service, endpoints: at(socatPort) })),
    remotes: [],
    checks: [],
  };
  const socat = await sidecar("socat", "dc1", socatPort);
  const web = await sidecar("web", "dc2", webPort);
  const upstream = (service: "socat" | "impostor") => ({
    service,
    datacenter: "dc1",
    bindAddress: "127.0.0.1",
    bindPort: ports[service],
    protocol: "tcp" as const,
    connectTimeoutMs: 1000,
    denials: 0,
    endpoints: at(gatewayPort),
  });
  await start({ ...socat, callers: { named: [{ service: "web", allow: true }], others: "deny" } });
  await start(gateway);
  await start({ ...web, upstreams: [upstream("impostor"), upstream("socat")] });
});

after(async () => {
  for (const envoy of envoys) await envoy[Symbol.asyncDispose]();
  echo?.close();
  rmSync(folder, { recursive: true });
});

test("what web sends to its local port comes back from socat in the other datacenter", async () => {
  const answer = await eventually("the echo", async () => (await send(ports.socat, "hello")) || undefined);
  assert.equal(answer, "hello");
});

test("a destination that shows another identity than its name says gets nothing", async () => {
  await eventually("the echo", async () => (await send(ports.socat, "hello")) === "hello");
  assert.equal(await send(ports.impostor, "secret"), "");
});

async function sidecar(service: string, datacenter: string, port: number): Promise<SidecarSnapshot> {
  return {
    kind: "connect-proxy",
    proxyId: `${service}-sidecar-proxy`,
    service,
    datacenter,
    trustDomain,
    publicListener: { address: "127.0.0.1", port },
    localApp: { address: "127.0.0.1", port: (echo.address() as AddressInfo).port, connectTimeoutMs: 1000 },
    leaf: await authority.leaf(spiffeId({ trustDomain, datacenter, service })),
    roots: [authority.root],
    callers: { named: [], others: "deny" },
    upstreams: [],
    checks: [],
  };
}

async function start(snapshot: ProxySnapshot): Promise<void> {
  const own = mkdtempSync(join(folder, "envoy-"));
  envoys.push(await runEnvoy(staticBootstrap(resourcesFromSnapshot(snapshot), { kind: "inline" }), own));
}

/** What comes back until as much is there as was sent, or the connection is closed. */
function send(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.setTimeout(5000, () => {
      reject(new Error("neither answered nor closed within 5 s"));
      socket.destroy();
    });
    socket.on("data", (chunk) => {
      received += chunk;
      if (received.length >= text.length) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(received));
  });
}
