/** What the generated resources do in a real Envoy: a caller that is not allowed gets not one byte, and causes no dial. */
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { spiffeId } from "../../provider/src/model/identity.ts";
import type { CallerDecisions, SidecarSnapshot } from "../../provider/src/model/proxy-snapshot.ts";
import { resourcesFromSnapshot } from "../../provider/src/xds/resource-set.ts";
import { createTestAuthority, type TestAuthority, type TestLeaf } from "../support/certificates.ts";
import { type RunningEnvoy, runEnvoy } from "../support/envoy.ts";
import { freePort } from "../support/free-port.ts";
import { resourceJson, staticBootstrap } from "../support/resource-json.ts";
import { eventually } from "../support/wait.ts";

const trustDomain = "11111111-2222-3333-4444-555555555555.consul";
const banner = "220 speaks first\n";

let folder: string;
let authority: TestAuthority;
let own: TestLeaf;
let server: Server;
let envoy: RunningEnvoy;
let publicPort: number;
/** Connections that reached the application. */
let dials = 0;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "authorisation-"));
  authority = await createTestAuthority();
  own = await authority.leaf(spiffeId({ trustDomain, datacenter: "dc1", service: "mail" }));
  server = createServer((socket) => {
    dials++;
    socket.on("error", () => {}).write(banner);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  publicPort = await freePort();
  const snapshot = snapshotFor({ named: [], others: "deny" });
  deliver(snapshot);
  envoy = await runEnvoy(staticBootstrap(resourcesFromSnapshot(snapshot), { kind: "files", folder }), folder);
});

after(async () => {
  await envoy?.[Symbol.asyncDispose]();
  server?.close();
  rmSync(folder, { recursive: true });
});

const cases: readonly {
  what: string;
  callers: CallerDecisions;
  allowed: readonly string[];
  denied: readonly string[];
}[] = [
  {
    what: "named callers only",
    callers: { named: [{ service: "web", allow: true }], others: "deny" },
    allowed: ["web"],
    denied: ["api", "web2", "we", "webx"],
  },
  {
    what: "everyone but the named",
    callers: {
      named: ["api", "api-v2", "web"].map((service) => ({ service, allow: false })),
      others: "allow",
    },
    allowed: ["ap", "api-v", "api-v22", "apiv2", "billing", "W", "web.x"],
    denied: ["api", "api-v2", "web"],
  },
  {
    what: "a caller whose name is as long as names get",
    callers: { named: [{ service: "n".repeat(128), allow: true }], others: "deny" },
    allowed: ["n".repeat(128)],
    denied: ["n".repeat(127)],
  },
  { what: "nobody", callers: { named: [], others: "deny" }, allowed: [], denied: ["web", "api"] },
];

for (const { what, callers, allowed, denied } of cases) {
  test(`${what}: the banner for the allowed, not one byte for the denied`, async () => {
    await enforced(callers, allowed[0], denied[0]!);
    for (const service of allowed) assert.equal((await call(service, "silent")).received, banner, service);
    const before = dials;
    for (const service of denied) {
      for (const manner of ["silent", "sends"] as const) {
        const { received, reached } = await call(service, manner);
        assert.equal(received, "", `${service}, ${manner}`);
        assert.ok(reached, "Envoy must have answered the handshake, or this shows nothing");
      }
    }
    assert.equal(dials, before, "a denied caller reached the application");
  });
}

test("a session from the time when the caller was allowed is worth nothing", async () => {
  await enforced({ named: [{ service: "web", allow: true }], others: "deny" }, "web", "api");
  const { received, session } = await call("web", "silent");
  assert.equal(received, banner);
  await enforced({ named: [{ service: "api", allow: true }], others: "deny" }, "api", "web");
  const before = dials;
  for (const manner of ["silent", "sends"] as const) {
    assert.equal((await call("web", manner, session)).received, "");
  }
  assert.equal(dials, before);
  assert.equal(session, undefined, "sessions are not handed out at all");
});

function snapshotFor(callers: CallerDecisions): SidecarSnapshot {
  return {
    kind: "connect-proxy",
    proxyId: "mail-sidecar-proxy",
    service: "mail",
    datacenter: "dc1",
    trustDomain,
    publicListener: { address: "127.0.0.1", port: publicPort },
    localApp: { address: "127.0.0.1", port: (server.address() as AddressInfo).port, connectTimeoutMs: 1000 },
    leaf: own,
    roots: [authority.root],
    callers,
    upstreams: [],
    checks: [],
  };
}

/** Puts secrets and rules where Envoy watches for them, each by rename. */
function deliver(snapshot: SidecarSnapshot): void {
  const resources = resourcesFromSnapshot(snapshot);
  for (const kind of ["secrets", "extensions"] as const) {
    const type =
      kind === "secrets" ? "extensions.transport_sockets.tls.v3.Secret" : "config.core.v3.TypedExtensionConfig";
    for (const json of resourceJson(resources, kind)) {
      const file = join(folder, `${json["name"]}.json`);
      writeFileSync(
        `${file}.new`,
        JSON.stringify({ resources: [{ "@type": `type.googleapis.com/envoy.${type}`, ...json }] }),
      );
      renameSync(`${file}.new`, file);
    }
  }
}

/** Delivers the decisions and waits until Envoy acts on them. */
async function enforced(callers: CallerDecisions, allowed: string | undefined, denied: string): Promise<void> {
  deliver(snapshotFor(callers));
  await eventually(`Envoy enforces ${JSON.stringify(callers)}\n${envoy.log()}`, async () => {
    if ((await call(denied, "sends")).received !== "") return false;
    return allowed === undefined || (await call(allowed, "sends")).received === banner;
  });
}

interface Answer {
  readonly received: string;
  /** The server's side of the handshake was there; in TLS 1.3 a client learns of its refusal only after that. */
  readonly reached: boolean;
  readonly session?: Buffer | undefined;
}

const leaves = new Map<string, Promise<TestLeaf>>();

/** One call with a service's certificate: until the banner is there, or the connection is closed. */
async function call(service: string, manner: "silent" | "sends", session?: Buffer): Promise<Answer> {
  let made = leaves.get(service);
  if (!made) {
    made = authority.leaf(spiffeId({ trustDomain, datacenter: "dc2", service }));
    leaves.set(service, made);
  }
  const { chain, privateKey } = await made;
  const socket = connect({
    host: "127.0.0.1",
    port: publicPort,
    cert: chain,
    key: privateKey,
    ca: authority.root,
    checkServerIdentity: () => undefined,
    ...(session ? { session } : {}),
  });
  return answer(socket, manner);
}

function answer(socket: TLSSocket, manner: "silent" | "sends"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let received = "";
    let session: Buffer | undefined;
    const deadline = setTimeout(() => {
      socket.destroy();
      reject(new Error(`neither closed nor answered within 3 s; received ${JSON.stringify(received)}`));
    }, 3000);
    socket.on("session", (ticket: Buffer) => {
      session = ticket;
    });
    let reached = false;
    socket.on("secureConnect", () => {
      reached = true;
      if (manner === "sends") socket.write("HELO\n");
    });
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString();
      if (received.length >= banner.length) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(deadline);
      resolve({ received, reached, session });
    });
  });
}
