/** Security of the federation as local processes, where hostile traffic may be sent: all of it stays in 127/8. */
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CLUSTER, LISTENER, SECRET } from "../../provider/src/ads/type-urls.ts";
import { controlServerName } from "../../provider/src/ca/control-ca.ts";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from "../../provider/src/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { spiffeId } from "../../provider/src/model/identity.ts";
import type { IdentityResponse } from "../../provider/src/model/isthmus-api.ts";
import { serviceSni } from "../../provider/src/model/names.ts";
import { openApi } from "../../provider/src/pulumi/api-client.ts";
import type { UnitId } from "../../provider/src/runtime/runtime.ts";
import { counter } from "../support/admin.ts";
import { createTestAuthority } from "../support/certificates.ts";
import { clientHello, fragmentedHello } from "../support/client-hello.ts";
import { type GrpcAnswer, grpcCall, grpcFrame } from "../support/grpc-call.ts";
import { throwAt } from "../support/handshake.ts";
import {
  fling,
  http2Payloads,
  httpPayloads,
  openAndDrop,
  rawPayloads,
  sendSlowly,
  type Target,
} from "../support/hostile.ts";
import { impostor } from "../support/impostor.ts";
import { residentMegabytes } from "../support/processes.ts";
import { findSecrets, readPair } from "../support/secrets.ts";
import { converse, say } from "../support/traffic.ts";
import { eventually } from "../support/wait.ts";
import { type Identity, readIdentity, securitySuite } from "./security-suite.ts";

const delta = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const codes = { invalid: 3, denied: 7, unauthenticated: 16 };
/** Hostile server names that a gateway is shown. */
const nameCount = 300;

securitySuite("local", (besieged) => {
  const web = () => besieged().unit("dc2", "service", "web");
  const socat = () => besieged().unit("dc1", "service", "socat");
  const gateway = (datacenter: "dc1" | "dc2") =>
    besieged().unit(datacenter, "mesh-gateway", datacenter === "dc1" ? "gateway-primary" : "gateway-secondary");
  const addressOf = async (unit: UnitId) => (await besieged().runtime.inspect(unit))!.placement.lan;
  const controlPlane = async (datacenter: string, port: number, identity?: Identity) => ({
    host: await addressOf(besieged().unit(datacenter, "control-plane", datacenter)),
    port,
    servername: controlServerName(datacenter, besieged().project.mesh),
    ...identity,
  });

  /** Says it is this proxy and asks for resources of a type. */
  async function subscribe(
    identity: Identity,
    nodeId: string,
    typeUrl = CLUSTER,
    names: string[] = [],
  ): Promise<GrpcAnswer> {
    const request = { node: { id: nodeId }, typeUrl, resourceNamesSubscribe: names };
    const message = toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request));
    const enough = (body: Buffer) => body.length > 5 && body.length >= 5 + body.readUInt32BE(1);
    return await grpcCall(await controlPlane("dc2", 8503, identity), delta, grpcFrame(message), { enough }, 2_000);
  }

  test("a stream is only for the proxy whose certificate opens it, and brings only what is its own", async () => {
    const webs = await readIdentity(besieged().folders, web());
    const gateways = await readIdentity(besieged().folders, gateway("dc2"));
    for (const [identity, nodeId] of [
      [webs, "gateway-secondary"],
      [gateways, "web-sidecar-proxy"],
      [webs, "socat-sidecar-proxy"],
      [webs, "web"],
      [webs, "__proto__"],
    ] as const) {
      const { status, body } = await subscribe(identity, nodeId);
      assert.deepEqual([status, body.length], [codes.denied, 0], nodeId);
    }
    assert.deepEqual((await subscribe(webs, "")).status, codes.invalid);
    assert.ok((await subscribe(webs, "web-sidecar-proxy")).body.length > 500);
    const { secrets } = besieged();
    const keys = secrets.filter(({ what }) => !what.startsWith("token"));
    const mine = await subscribe(webs, "web-sidecar-proxy", SECRET, ["leaf"]);
    assert.deepEqual(findSecrets(keys, mine.body), ["leaf web of dc2/control-plane/dc2"]);
    for (const names of [["leaf"], ["*"], ["leaf:web", "leaf/web", "web"]]) {
      const theirs = await subscribe(gateways, "gateway-secondary", SECRET, names);
      assert.deepEqual(findSecrets(secrets, theirs.body), [], names.join());
    }
  });

  test("the federation link wants a replication token", async () => {
    const { runtime, project } = besieged();
    using api = openApi(runtime, project.mesh, "dc1");
    const tokens =
      await api.get<readonly { readonly Description: string; readonly SecretID: string }[]>("/v1/acl/tokens");
    const own = tokens.find(({ Description }) => Description.endsWith("service socat"))!.SecretID;
    const requests = {
      Join: { type: "have", items: [], last: true },
      Forward: { method: "GET", path: "/v1/acl/tokens", query: "", token: "", body: "" },
      SignIntermediate: { datacenter: "dc2", instance: randomUUID(), csr: "" },
    };
    for (const [path, request] of Object.entries(requests)) {
      for (const token of [undefined, "anonymous", "00000000-1111-2222-3333-444444444444", own]) {
        const headers = token === undefined ? {} : { "x-consul-token": token };
        const body = grpcFrame(Buffer.from(JSON.stringify(request)));
        const full = `/isthmus.federation.v1.Federation/${path}`;
        const answer = await grpcCall(await controlPlane("dc1", 8300), full, body, { headers, end: path !== "Join" });
        assert.ok([codes.denied, codes.unauthenticated].includes(answer.status), `${path}: ${answer.status}`);
        assert.equal(answer.body.length, 0);
      }
    }
  });

  test(`${nameCount} hostile server names reach nothing through a gateway; the exact one does`, async () => {
    const { runtime, trustDomain } = besieged();
    const exact = serviceSni("socat", "dc1", trustDomain);
    const target: Target = { host: await addressOf(gateway("dc1")), port: 8443 };
    const show = async (hello: Buffer) =>
      throwAt(await besieged().reach(web(), target.host, target.port), hello, 1_000);
    const moved = async () =>
      Promise.all([
        counter(runtime, gateway("dc1"), /^cluster\.(?!control_plane).*upstream_cx_total$/),
        ...["socat", "banner"].map((name) =>
          counter(
            runtime,
            besieged().unit("dc1", "service", name),
            /^listener\.(?!.*worker_).*20000\.downstream_cx_total$/,
          ),
        ),
      ]);
    const before = await moved();
    const hellos = hostileHellos(exact, trustDomain);
    assert.ok(hellos.length >= nameCount);
    for (let at = 0; at < hellos.length; at += 50) {
      for (const answer of await Promise.all(hellos.slice(at, at + 50).map(show))) {
        // Nothing, or an alert: no server has spoken.
        assert.ok(answer.length === 0 || answer[0] === 0x15, answer.subarray(0, 20).toString("hex"));
      }
    }
    assert.deepEqual(await moved(), before);

    // Names have no case (RFC 4343), so these two are the exact one.
    for (const name of [exact, exact.toUpperCase()]) assert.equal((await show(clientHello([name])))[0], 0x16, name);
    const [clusters, atSocat, atBanner] = await moved();
    assert.deepEqual([clusters! - before[0]!, atSocat! - before[1]!, atBanner], [2, 2, before[2]]);

    // Another datacenter's names are that one's gateway to judge, and it knows no such service.
    const stranger = serviceSni("stranger", "dc2", trustDomain);
    assert.equal((await show(clientHello([stranger]))).length, 0);
  });

  test("who stands in for a gateway cannot stand in for the service behind it", async () => {
    const { runtime, project, folders, trustDomain } = besieged();
    const authority = await createTestAuthority();
    const own = await authority.leaf(spiffeId({ trustDomain, datacenter: "dc1", service: "socat" }));
    const leaves = await folders.read(besieged().unit("dc1", "control-plane", "dc1"));
    using api = openApi(runtime, project.mesh, "dc2");
    const register = (port: number) => {
      const place = { Address: "127.0.0.1", Port: port };
      const addresses = { lan: place, wan: place };
      const name = { Kind: "mesh-gateway", ID: "impostor", Name: "impostor" };
      return api.put("/v1/agent/service/register", { ...name, ...place, TaggedAddresses: addresses }, { token });
    };
    // It is a gateway in all but its program: registered, with a token and an identity of its own, and connected.
    const { SecretID: token } = await api.put<{ readonly SecretID: string }>("/v1/acl/token", {
      ServiceIdentities: [{ ServiceName: "impostor" }],
      Local: true,
    });
    await register(1);
    const keys = generateKeyPairSync("ec", {
      namedCurve: "P-256",
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    const files = { IdentityFile: "/none/identity.json", AdminSocket: "/none/admin.sock" };
    const asked = { PublicKey: keys.publicKey, ...files };
    const path = "/v1/isthmus/proxies/impostor/identity";
    const issued = await api.put<IdentityResponse>(path, asked, { token });
    const identity = { cert: issued.CertificateChain, key: keys.privateKey };
    const leaving = new AbortController();
    const discovery = (request: object) =>
      toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, { typeUrl: LISTENER, ...request }));
    const acknowledge = (message: Buffer) =>
      discovery({ responseNonce: fromBinary(DeltaDiscoveryResponseSchema, message).nonce });
    const options = await controlPlane("dc2", 8503, identity);
    const hello = grpcFrame(discovery({ node: { id: "impostor" } }));
    const stream = grpcCall(options, delta, hello, { answer: acknowledge, signal: leaving.signal }, 60_000);
    try {
      for (const [who, pair] of Object.entries({
        "a gateway's own certificate": identity,
        "another service's leaf": await readPair(leaves, "leaf", "banner"),
        "the right name from a CA of its own": { cert: own.chain, key: own.privateKey },
      })) {
        await using fake = await impostor(pair);
        await register(fake.port);
        await eventually(`web's sidecar tries ${who}`, async () => {
          const { text } = await say(runtime, web(), 8181, "secret words", 500);
          assert.ok(text === "" || text === "secret words\n", text);
          return fake.refused() > 0;
        });
        assert.deepEqual([fake.heard(), fake.names().has(serviceSni("socat", "dc1", trustDomain))], ["", true], who);
      }
    } finally {
      leaving.abort();
      await stream;
      await api.put("/v1/agent/service/deregister/impostor");
    }
    await eventually(
      "the way is whole again",
      async () => (await say(runtime, web(), 8181, "whole")).text === "whole\n",
    );
  });

  test("hostile bytes to every port end nothing and cost little", async () => {
    const { runtime, project } = besieged();
    const processes = async () =>
      (await runtime.list(project.mesh)).flatMap(({ id, processes: all }) =>
        all.map(
          ({ name, pid, restarts, running }) => `${id.datacenter}/${id.name}/${name} ${pid} ${restarts} ${running}`,
        ),
      );
    const before = await processes();
    const talk = await converse(runtime, web(), 8181);
    const ports = (await besieged().ports()).filter(({ kind }) => kind !== "app" && kind !== "upstream");
    const targets = ports.map(({ address: host, port }) => ({ host, port }));
    const slow = targets.map((target) => sendSlowly(target, 20));
    for (const target of targets) await Promise.all(rawPayloads().map((bytes) => fling(target, bytes)));
    for (const [index, { kind, unit }] of ports.entries()) {
      const target = targets[index]!;
      const name = controlServerName(unit.datacenter, project.mesh);
      const tls = { servername: name, ...(kind === "https" ? {} : { ALPNProtocols: ["h2"] }) };
      if (kind === "https") await Promise.all(httpPayloads().map((bytes) => fling(target, bytes, tls)));
      if (kind === "federation") await Promise.all(http2Payloads().map((bytes) => fling(target, bytes, tls)));
      // An insider has a certificate and is no better for it.
      const insider = unit.datacenter === "dc1" ? socat() : web();
      const identity = kind === "xds" ? await readIdentity(besieged().folders, insider) : undefined;
      if (identity) await Promise.all(http2Payloads().map((bytes) => fling(target, bytes, { ...tls, ...identity })));
    }
    for (const target of targets) await openAndDrop(target, 1_000);
    for (const { id, processes: all } of await runtime.list(project.mesh)) {
      const plane = all.find(({ name }) => name === "control-plane");
      if (plane?.pid)
        assert.ok(residentMegabytes(plane.pid) < 200, `${id.name} has ${residentMegabytes(plane.pid)} MB`);
    }
    for (const one of slow) one.stop();
    assert.deepEqual(await processes(), before);
    assert.equal(talk.broken(), undefined);
    talk.close();
    assert.equal((await say(runtime, web(), 8181, "alive")).text, "alive\n");
    for (const datacenter of ["dc1", "dc2"]) {
      using api = openApi(runtime, project.mesh, datacenter);
      const proxies = await api.get<readonly { readonly Connected: boolean }[]>("/v1/isthmus/proxies");
      assert.ok(proxies.every(({ Connected: connected }) => connected));
      await api.put("/v1/agent/service/register", { Name: "after-the-siege", Port: 1 });
      await api.put("/v1/agent/service/deregister/after-the-siege");
    }
  });
});

/** Names that are near the exact one, far from it, or none at all. */
function hostileHellos(exact: string, trustDomain: string): readonly Buffer[] {
  const random = () => randomBytes(6).toString("hex");
  const other = "00000000-0000-4000-8000-000000000000.consul";
  const names: (string | Buffer)[] = [
    ...Array.from({ length: 130 }, () => `${random()}.default.dc1.internal.${trustDomain}`),
    ...Array.from({ length: 40 }, () => `${random()}.${exact}`),
    ...Array.from({ length: 40 }, () => `${exact}.${random()}.example`),
    ...Array.from({ length: 20 }, () => `${random().toUpperCase()}.DEFAULT.DC1.INTERNAL.${trustDomain.toUpperCase()}`),
    ...["dc3", "dc10", "dc", "d", "*", "wan"].map((datacenter) => serviceSni("socat", datacenter, trustDomain)),
    ...["socat", "web", "*"].map((service) => serviceSni(service, "dc1", other)),
    ...["*", "*.*", `*.${trustDomain}`, `*.dc1.internal.${trustDomain}`, serviceSni("*", "dc1", trustDomain)],
    ...["127.0.0.1", "::1", "[::1]", "2130706433", "0", "localhost", "dead-end.invalid", "socat", "local_app"],
    ...["control_plane", "admin", "__proto__", `dc1.internal.${trustDomain}`, `dc2.internal.${trustDomain}`],
    ...[
      "",
      ".",
      "..",
      " ",
      "\t",
      `${exact}.`,
      `.${exact}`,
      ` ${exact}`,
      `${exact} `,
      exact.slice(0, -1),
      exact.slice(1),
    ],
    ...[`${exact}\0`, `${exact}\0.example`, `a\0${exact}`, `${exact}\r\n`, `a,${exact}`, `${exact},a`, `${exact}:443`],
    ...[
      `spiffe://${exact}`,
      `https://${exact}/`,
      `a@${exact}`,
      exact.replaceAll(".", "%2e"),
      exact.replaceAll(".", "/"),
    ],
    ...[
      exact.replace("socat", "ѕocat"),
      exact.replace("socat", "socat\u200b"),
      `v1.${exact}`,
      `socat.${exact.slice(6)}x`,
    ],
    ...[256, 1_000, 16_000, 60_000].map((length) => `${"a".repeat(length)}.${exact}`),
    ...Array.from({ length: 8 }, () => randomBytes(40)),
  ];
  return [
    ...names.map((name) => clientHello([name])),
    clientHello(undefined),
    clientHello([]),
    clientHello([exact, "second.example"]),
    clientHello(["first.example", exact]),
    ...[5, 64].map((bytes) => fragmentedHello(`${random()}.${exact}`, bytes)),
  ];
}
