/** What a mesh must not give away and whom it must not let in, shown on a whole federation in one runtime. */
import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { controlServerName } from "../../provider/src/ca/control-ca.ts";
import type { ProxyStatus, StatusResponse } from "../../provider/src/model/isthmus-api.ts";
import { serviceSni } from "../../provider/src/model/names.ts";
import { openApi } from "../../provider/src/pulumi/api-client.ts";
import { connectEngine } from "../../provider/src/runtime/docker/engine.ts";
import { openRuntime } from "../../provider/src/runtime/open.ts";
import type { Runtime, UnitId } from "../../provider/src/runtime/runtime.ts";
import { admin } from "../support/admin.ts";
import { type Handshake, shakeHands, throwAt } from "../support/handshake.ts";
import { processTexts, watchProcesses } from "../support/processes.ts";
import { createProject, type Outcome, type Project } from "../support/project.ts";
import { type Reach, reachFromContainers, reachLocally } from "../support/reach.ts";
import { collectSecrets, findSecrets, readPair, type Secret, textSecret } from "../support/secrets.ts";
import { converse, say } from "../support/traffic.ts";
import { type UnitFolders, unitFolders } from "../support/unit-folder.ts";
import { eventually } from "../support/wait.ts";

/** A federation that is up, and the ways to look at it from outside and from inside. */
export interface Besieged {
  readonly runtime: Runtime;
  readonly project: Project;
  readonly reach: Reach;
  readonly folders: UnitFolders;
  readonly trustDomain: string;
  readonly unit: (datacenter: string, role: UnitId["role"], name: string) => UnitId;
  /** Every listening TCP port of the mesh; `app` for what the service's own program opened, `upstream` for its local ports. */
  readonly ports: () => Promise<readonly MeshPort[]>;
  /** SNI that gets a connection to this port to a TLS server. */
  readonly serverName: (port: MeshPort) => string;
  readonly secrets: readonly Secret[];
}

export interface MeshPort {
  readonly unit: UnitId;
  readonly address: string;
  readonly port: number;
  readonly kind: "https" | "xds" | "federation" | "gateway" | "sidecar" | "app" | "upstream";
}

/** Certificate and key with which a proxy comes to its control plane. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

const kinds: Readonly<Record<number, MeshPort["kind"]>> = {
  8501: "https",
  8503: "xds",
  8300: "federation",
  8443: "gateway",
  20000: "sidecar",
};
/** The preface of HTTP/2 and an empty SETTINGS frame, which a server answers with its own. */
const http2Start = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from("000000040000000000", "hex"),
]);
const appPorts: Readonly<Record<string, number>> = { socat: 8181, banner: 9000, web: 8080 };

/** The identity file of a unit's proxy. */
export async function readIdentity(folders: UnitFolders, unit: UnitId): Promise<Identity> {
  const { resources } = JSON.parse((await folders.read(unit)).get("identity.json")!.toString());
  const { certificate_chain: chain, private_key: key } = resources[0].tls_certificate;
  return { cert: chain.inline_string, key: key.inline_string };
}

/** The last word of a TLS server that wants no part of the client's certificate, or of its absence. */
export function assertRefused({ error, text, ended }: Handshake, expected: RegExp): void {
  assert.deepEqual({ text, ended }, { text: "", ended: true });
  assert.match(error, expected);
}

/** @param extra what one runtime alone can show; runs before the token and the mesh go. */
export function securitySuite(kind: "docker" | "local", extra: (besieged: () => Besieged) => void): void {
  let besieged: Besieged;
  let secrets: readonly Secret[];
  let passphrase: Secret;
  let first: Outcome;
  let processesSeen: ReadonlySet<string>;
  const canary = `canary-${randomBytes(12).toString("hex")}`;
  const assertNone = (where: string, hay: string | Buffer, sought = [...secrets, passphrase]): void =>
    assert.deepEqual(findSecrets(sought, hay), [], `${where} holds secrets`);
  const units = async () => (await besieged.runtime.list(besieged.project.mesh)).map(({ id }) => id);
  const web = () => besieged.unit("dc2", "service", "web");
  const socat = () => besieged.unit("dc1", "service", "socat");

  describe(`security in the ${kind} runtime`, { timeout: 300_000 }, () => {
    before(async () => {
      const runtime = await openRuntime(kind);
      const engine = kind === "docker" ? connectEngine(process.env) : undefined;
      const project = await createProject({ runtime: kind, log: (line) => console.log(line) });
      const folders = unitFolders(runtime, engine);
      const unit: Besieged["unit"] = (datacenter, role, name) => ({ mesh: project.mesh, datacenter, role, name });
      const place = { runtime, project, folders, unit, reach: engine ? reachFromContainers(engine) : reachLocally };
      const ports = () => meshPorts(runtime, project.mesh);
      const none = { trustDomain: "", serverName: () => "", secrets: [] };
      besieged = { ...place, ...none, ports };
      const watch = watchProcesses();
      first = await project.up({ secret: canary }).finally(() => {
        processesSeen = watch.stop();
      });
      using api = openApi(runtime, project.mesh, "dc1");
      const { TrustDomain: trustDomain } = await api.get<StatusResponse>("/v1/isthmus/status");
      const serverName = ({ kind: what, unit: { datacenter } }: MeshPort) =>
        what === "gateway" ? serviceSni("socat", "dc1", trustDomain) : controlServerName(datacenter, project.mesh);
      secrets = [
        ...(await collectSecrets(runtime, project.mesh, folders.read)),
        textSecret("the program's secret file", canary),
      ];
      besieged = { ...place, ports, trustDomain, serverName, secrets };
      passphrase = textSecret("the passphrase", String(project.env["PULUMI_CONFIG_PASSPHRASE"]));
    });
    after(async () => {
      if (!besieged) return;
      const { runtime, project } = besieged;
      for (const state of await runtime.list(project.mesh)) await runtime.remove(state.id);
      await project[Symbol.asyncDispose]();
    });

    test("the search finds every secret where it belongs", async () => {
      const places: Buffer[] = [];
      for (const unit of await units()) places.push(...(await besieged.folders.read(unit)).values());
      const text = Buffer.concat(places);
      assert.deepEqual(
        findSecrets(secrets, text),
        secrets.map(({ what }) => what),
      );
      const count = (pattern: RegExp) => secrets.filter(({ what }) => pattern.test(what)).length;
      assert.equal(count(/^key in .*identity\.json$/), 5);
      assert.equal(count(/^signer /), 4);
      assert.ok(count(/^leaf /) >= 3);
      assert.equal(count(/^replication token/), 1);
      assert.ok(count(/^token /) >= 6);
      assert.ok(findSecrets([passphrase], `PASS=${besieged.project.env["PULUMI_CONFIG_PASSPHRASE"]}`).length === 1);
    });

    test("no secret in Pulumi's output, state, history and backups", async () => {
      const { project } = besieged;
      assertNone("the output of up", first.output);
      const preview = await project.preview({ secret: `${canary}-changed` });
      assert.equal(preview.exitCode, 0, preview.output);
      assert.match(preview.output, /service\/banner/);
      assertNone("the output of preview --diff", preview.output);
      const exported = await project.pulumi(["stack", "export"], { secret: canary });
      assert.match(exported.output, /ciphertext/);
      assertNone("the exported state", exported.output);
      const folder = join(project.directory, ".isthmus");
      for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        const path = join(file.parentPath, file.name);
        if (file.isFile()) assertNone(path, readFileSync(path));
      }
    });

    test("no secret in any argument or environment, during up and after it", async () => {
      // Pulumi itself gets its passphrase, and this program its canary, by environment.
      const ours = secrets.filter(({ what }) => what !== "the program's secret file");
      for (const text of processesSeen) assertNone("a process during up", text, ours);
      for (const [where, text] of processTexts()) assertNone(`process ${where}`, text);
    });

    test("no secret in any log, and none in what Envoy and the control planes say of themselves", async () => {
      const { runtime, project } = besieged;
      for (const { id, processes } of await runtime.list(project.mesh)) {
        for (const { name } of processes) assertNone(`log of ${name}`, await runtime.logs(id, name, 100_000));
        if (id.role === "control-plane") {
          using api = openApi(runtime, project.mesh, id.datacenter);
          for (const path of ["agent/metrics", "agent/self", "isthmus/status", "isthmus/proxies", "agent/services"]) {
            assertNone(path, JSON.stringify(await api.get(`/v1/${path}`)));
          }
        } else {
          for (const path of ["config_dump?include_eds", "certs", "clusters?format=json", "stats", "server_info"]) {
            assertNone(`${path} of ${id.name}`, await admin(runtime, id, `/${path}`));
          }
        }
      }
    });

    test("every port is TLS or loopback, and what is not is the service's own", async () => {
      const ports = await besieged.ports();
      const count = (what: MeshPort["kind"]) => ports.filter((one) => one.kind === what).length;
      for (const what of ["https", "xds", "federation", "gateway", "sidecar", "app", "upstream"] as const) {
        assert.ok(count(what) > 0, `no ${what} port`);
      }
      await Promise.all(ports.map((one) => checkPort(besieged, one)));
    });

    test("the API without a token gives nothing away and takes nothing", async () => {
      const host = (await besieged.runtime.inspect(besieged.unit("dc2", "control-plane", "dc2")))!.placement.lan;
      const ask = async (method: string, path: string, body = "", token = "") => {
        const stream = await besieged.reach(web(), host, 8501);
        const options = { servername: controlServerName("dc2", besieged.project.mesh) };
        const header = token && `X-Consul-Token: ${token}\r\n`;
        const head = `${method} /v1/${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${header}`;
        const { status, text } = await httpOver(
          stream,
          options,
          `${head}Content-Length: ${body.length}\r\n\r\n${body}`,
        );
        return `${status} ${text.trim().slice(0, 160)}`;
      };
      const refused = /^403 (Permission denied|ACL not found)/;
      const empty = /^200 (\[\]|\{\}|null)$/;
      for (const path of [
        "acl/tokens",
        "acl/policies",
        "isthmus/status",
        "isthmus/join",
        "agent/self",
        "agent/metrics",
      ]) {
        assert.match(await ask("GET", path), refused, path);
      }
      for (const path of [
        "catalog/services",
        "catalog/nodes",
        "isthmus/proxies",
        "agent/services",
        "health/service/web",
      ]) {
        assert.match(await ask("GET", path), empty, path);
      }
      assert.match(await ask("GET", "agent/connect/ca/leaf/web"), refused);
      assert.match(await ask("GET", "catalog/services", "", "00000000-1111-2222-3333-444444444444"), refused);
      assert.match(await ask("PUT", "agent/service/register", '{"Name":"intruder","Port":1}'), refused);
      // In a secondary these go to the primary, which must not take the messenger for the sender.
      assert.match(await ask("PUT", "acl/token", "{}"), refused);
      assert.match(await ask("PUT", "acl/bootstrap"), refused);
      assert.match(await ask("GET", "acl/tokens?dc=dc1"), refused);
      assert.match(await ask("GET", "catalog/services?dc=dc1"), empty);
      assert.match(await ask("PUT", "config", '{"Kind":"proxy-defaults","Name":"global"}'), refused);
      const intention = '{"SourceName":"web","DestinationName":"banner","Action":"allow"}';
      assert.match(await ask("PUT", "connect/intentions", intention), /^(403|404|405) /);
      assert.match(await ask("PUT", "connect/intentions/exact?source=web&destination=banner", intention), refused);
      const key = '{"PublicKey":"x","IdentityFile":"x","AdminSocket":"x"}';
      assert.match(await ask("PUT", "isthmus/proxies/web-sidecar-proxy/identity", key), /^(400|403) /);
    });

    test("xDS without a client certificate, or with one of the mesh, is refused in the handshake", async () => {
      const host = (await besieged.runtime.inspect(besieged.unit("dc2", "control-plane", "dc2")))!.placement.lan;
      const servername = controlServerName("dc2", besieged.project.mesh);
      const shake = async (identity: Partial<Identity>) => {
        const stream = await besieged.reach(web(), host, 8503);
        return await shakeHands(stream, { servername, ALPNProtocols: ["h2"], ...identity }, http2Start);
      };
      const own = await shake(await readIdentity(besieged.folders, web()));
      assert.notEqual(own.text, "", "the proxy itself gets the server's settings");
      assertRefused(await shake({}), /CERTIFICATE_REQUIRED/);
      const files = await besieged.folders.read(besieged.unit("dc2", "control-plane", "dc2"));
      assertRefused(await shake(await readPair(files, "leaf", "web")), /^$|ECONNRESET|EPIPE|UNKNOWN_CA/);
      const foreign = await readIdentity(besieged.folders, socat());
      assertRefused(await shake(foreign), /^$|ECONNRESET|EPIPE|UNKNOWN_CA/);
    });

    test("sockets are 0600 in folders that are 0700", async () => {
      for (const unit of await units()) {
        const name = unit.role === "control-plane" ? "api.sock" : "admin.sock";
        assert.equal(await besieged.folders.mode(unit, name), 0o600, `${name} of ${unit.name}`);
        assert.equal(await besieged.folders.mode(unit, "."), 0o700, `folder of ${unit.name}`);
        for (const path of (await besieged.folders.read(unit)).keys()) {
          assert.equal(await besieged.folders.mode(unit, path), 0o600, `${path} of ${unit.name}`);
        }
      }
    });

    test("a gateway has no key but its own for the control plane, and no sidecar takes that", async () => {
      for (const [datacenter, name] of [
        ["dc1", "gateway-primary"],
        ["dc2", "gateway-secondary"],
      ] as const) {
        const unit = besieged.unit(datacenter, "mesh-gateway", name);
        const files = await besieged.folders.read(unit);
        const all = Buffer.concat([...files.values()]).toString();
        assert.equal(all.match(/PRIVATE KEY-----/g)?.length, 2);
        const identity = await readIdentity(besieged.folders, unit);
        const { subjectAltName } = new X509Certificate(identity.cert);
        assert.equal(subjectAltName, `URI:spiffe://${besieged.project.mesh}.control/dc/${datacenter}/proxy/${name}`);
        const dump = await admin(besieged.runtime, unit, "/config_dump?include_eds");
        assert.doesNotMatch(dump, /PRIVATE KEY/);
        assert.doesNotMatch(dump, /svc\/(web|socat|banner)/);
        const { placement } = (await besieged.runtime.inspect(socat()))!;
        const knock = async (pair: Partial<Identity>) =>
          shakeHands(await besieged.reach(socat(), placement.lan, 20_000), pair, "knock\n");
        assertRefused(await knock(identity), /UNKNOWN_CA|CERTIFICATE_UNKNOWN/);
        assertRefused(await knock({}), /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/);
        const leaves = await besieged.folders.read(besieged.unit("dc2", "control-plane", "dc2"));
        assert.equal((await knock(await readPair(leaves, "leaf", "web"))).text, "knock\n");
      }
    });

    extra(() => besieged);

    test("a token that goes takes its proxy's stream with it within a second, and no connection", async () => {
      const { runtime, project } = besieged;
      const talk = await converse(runtime, web(), 8181);
      using api = openApi(runtime, project.mesh, "dc2");
      const connected = async () =>
        (await api.get<readonly ProxyStatus[]>("/v1/isthmus/proxies")).find((one) => one.Service === "web")?.Connected;
      assert.equal(await connected(), true);
      const tokens =
        await api.get<readonly { readonly AccessorID: string; readonly Description: string }[]>("/v1/acl/tokens");
      const own = tokens.find(({ Description }) => Description.endsWith("service web"))!;
      await api.delete(`/v1/acl/token/${own.AccessorID}`);
      await eventually("web's proxy is cut off", async () => (await connected()) === false, 1_000);
      const lines = talk.lines();
      await eventually("the conversation goes on", () => talk.lines() > lines + 10);
      assert.equal(talk.broken(), undefined);
      talk.close();
      assert.equal((await say(runtime, web(), 8181, "still")).text, "still\n");
      assert.equal(await connected(), false);
    });

    test("destroy leaves nothing, without the token too", async () => {
      await besieged.project.destroy();
      assert.deepEqual(await besieged.runtime.list(besieged.project.mesh), []);
    });
  });
}

async function meshPorts(runtime: Runtime, mesh: string): Promise<readonly MeshPort[]> {
  const ports: MeshPort[] = [];
  for (const { id: unit, placement } of await runtime.list(mesh)) {
    for (const { address, port } of await runtime.listeners(unit)) {
      const known = kinds[port];
      const own = appPorts[unit.name] === port ? "app" : "upstream";
      const kind = unit.role === "service" && known !== "sidecar" ? own : known;
      assert.ok(kind, `${unit.name} listens on ${address}:${port}, which nobody knows`);
      // In a namespace of its own the app sits on loopback; on one loopback for all, on the unit's address.
      if (kind === "app" || kind === "upstream") assert.equal(address, placement.local);
      ports.push({ unit, address, port, kind });
    }
  }
  return ports;
}

async function checkPort(besieged: Besieged, one: MeshPort): Promise<void> {
  const { kind, unit, address, port } = one;
  const where = `${kind} of ${unit.name} at ${address}:${port}`;
  if (kind === "app" || kind === "upstream") return assert.match(address, /^127\./, where);
  const { placement } = (await besieged.runtime.inspect(unit))!;
  const neighbour = besieged.unit(unit.datacenter, "service", unit.datacenter === "dc1" ? "socat" : "web");
  let from = neighbour;
  if (address !== placement.lan) {
    // The WAN side is dialled by other datacenters' control planes, and by no service.
    assert.equal(address, placement.wan, where);
    await assert.rejects(besieged.reach(neighbour, address, port), where);
    const other = unit.datacenter === "dc1" ? "dc2" : "dc1";
    from = besieged.unit(other, "control-plane", other);
  }
  const plain = await throwAt(await besieged.reach(from, address, port), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  // A TLS alert, or nothing at all.
  assert.ok(plain.length === 0 || plain[0] === 0x15, `${where} answers plain text: ${plain.subarray(0, 40)}`);
  const stream = await besieged.reach(from, address, port);
  const options = { servername: besieged.serverName(one), ALPNProtocols: ["h2"] };
  const { secure, error } = await shakeHands(stream, options, "\n", 1_000);
  assert.ok(secure || error.includes("ALERT"), `${where} does not speak TLS: ${error}`);
}

async function httpOver(
  stream: Awaited<ReturnType<Reach>>,
  options: { readonly servername: string },
  request: string,
): Promise<{ readonly status: string; readonly text: string }> {
  const socket = connect({ ...options, rejectUnauthorized: false, socket: stream as never });
  const chunks: Buffer[] = [];
  socket.write(request);
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  stream.destroy();
  const answer = Buffer.concat(chunks).toString();
  return { status: answer.slice(9, 12), text: answer.slice(answer.indexOf("\r\n\r\n") + 4) };
}
