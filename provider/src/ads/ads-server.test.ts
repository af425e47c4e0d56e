/** The xDS server against clients that are wrong, slow or hostile. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { connect as connectTls, type SecureVersion } from "node:tls";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Client, type ClientDuplexStream, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { DeltaDiscoveryRequestSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { HealthCheckRequestOrEndpointHealthResponseSchema } from "../gen/envoy/service/health/v3/hds_pb.ts";
import { createXdsServer, type XdsServer } from "./ads-server.ts";
import { createTestCa, type Pair, type TestCa } from "./certificates.test.support.ts";
import {
  createTestAuthenticator,
  createTestHealth,
  createTestObserver,
  createTestResources,
} from "./control-plane.test.support.ts";
import { eventually } from "./envoy.test.support.ts";
import { cluster, specifier } from "./envoy-resources.test.support.ts";
import { CLUSTER } from "./type-urls.ts";

const serverName = "server.dc1.consul";
const delta = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const stateOfTheWorld = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const healthChecks = "/envoy.service.health.v3.HealthDiscoveryService/StreamHealthCheck";

type Bytes = Buffer<ArrayBufferLike>;

function discoveryRequest(init: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): Bytes {
  return Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init)));
}

const hello = (id: string) => discoveryRequest({ node: { id }, typeUrl: CLUSTER });

describe("xDS server", () => {
  const authenticator = createTestAuthenticator();
  const resources = createTestResources();
  const observer = createTestObserver();
  let ca: TestCa;
  let web: Pair;
  let db: Pair;
  let server: XdsServer;
  let port = 0;
  const clients: Client[] = [];

  before(async () => {
    ca = await createTestCa("test control CA");
    web = await ca.issue([{ type: "url", value: "spiffe://test/proxy/web" }]);
    db = await ca.issue([{ type: "url", value: "spiffe://test/proxy/db" }]);
    authenticator.allow(web.cert, "web");
    authenticator.allow(db.cert, "db");
    resources.set("web", [cluster("of-web")]);
    resources.set("db", [cluster("of-db")]);
    server = createXdsServer({
      tls: { ...(await ca.issue([{ type: "dns", value: serverName }])), clientCa: ca.root },
      authenticator,
      resources,
      observer,
      health: createTestHealth(),
      healthCheckSpecifier: specifier,
      now: Date.now,
      log: { warn: () => {} },
      limits: { stuckTimeoutMs: 300, firstMessageTimeoutMs: 300, maxNamesPerStream: 100, maxConnectionsPerAddress: 40 },
    });
    port = await server.listen("127.0.0.1", 0);
  });

  after(async () => {
    for (const client of clients) client.close();
    await server.close();
  });

  function open(identity: Pair | undefined, path: string, roots = ca.root): ClientDuplexStream<Bytes, Bytes> {
    const own = identity ? ([Buffer.from(identity.key), Buffer.from(identity.cert)] as const) : ([null, null] as const);
    const client = new Client(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(roots), ...own), {
      "grpc.ssl_target_name_override": serverName,
      "grpc.use_local_subchannel_pool": 1,
    });
    clients.push(client);
    const asIs = (bytes: Bytes) => bytes;
    return client.makeBidiStreamRequest(path, asIs, asIs);
  }

  /** How the stream ends. */
  function ending(call: ClientDuplexStream<Bytes, Bytes>): Promise<{ code: status; details: string; received: Bytes }> {
    const received: Bytes[] = [];
    call.on("data", (bytes: Bytes) => received.push(bytes));
    return new Promise((resolve) => {
      call.on("error", ({ code, details }: ServiceError) =>
        resolve({ code, details, received: Buffer.concat(received) }),
      );
      call.on("end", () => resolve({ code: status.OK, details: "", received: Buffer.concat(received) }));
    });
  }

  const refusals: readonly {
    readonly what: string;
    readonly who?: () => Pair;
    readonly path?: string;
    readonly say?: () => readonly Bytes[];
    readonly code: status;
    readonly text: RegExp;
  }[] = [
    {
      what: "another proxy's node id",
      say: () => [hello("db")],
      code: status.PERMISSION_DENIED,
      text: /not that of "db"/,
    },
    { what: "no node id", say: () => [hello("")], code: status.INVALID_ARGUMENT, text: /node\.id/ },
    {
      what: "no type",
      say: () => [discoveryRequest({ node: { id: "web" } })],
      code: status.INVALID_ARGUMENT,
      text: /type_url/,
    },
    {
      what: "a node id that changes",
      say: () => [hello("web"), hello("db")],
      code: status.INVALID_ARGUMENT,
      text: /node\.id changed/,
    },
    {
      what: "bytes that are nothing",
      say: () => [Buffer.alloc(40, 0xff)],
      code: status.INVALID_ARGUMENT,
      text: /not a Delta/,
    },
    {
      what: "a message that is too long",
      say: () => [Buffer.alloc(256 * 1024 + 1)],
      code: status.RESOURCE_EXHAUSTED,
      text: /larger than/,
    },
    {
      what: "too many names",
      say: () => [
        discoveryRequest({
          node: { id: "web" },
          typeUrl: CLUSTER,
          resourceNamesSubscribe: Array.from({ length: 101 }, (_, i) => `n${i}`),
        }),
      ],
      code: status.UNAVAILABLE,
      text: /too many/,
    },
    { what: "silence", say: () => [], code: status.UNAVAILABLE, text: /said nothing/ },
    {
      what: "answers that never come",
      say: () => [hello("web")],
      code: status.UNAVAILABLE,
      text: /nothing was read or answered/,
    },
    { what: "state of the world", path: stateOfTheWorld, code: status.UNIMPLEMENTED, text: /DELTA_GRPC/ },
    {
      what: "a health stream without a node",
      path: healthChecks,
      say: () => [Buffer.alloc(0)],
      code: status.INVALID_ARGUMENT,
      text: /node\.id/,
    },
    {
      what: "a health stream in another's name",
      path: healthChecks,
      say: () => [
        Buffer.from(
          toBinary(
            HealthCheckRequestOrEndpointHealthResponseSchema,
            create(HealthCheckRequestOrEndpointHealthResponseSchema, {
              requestType: { case: "healthCheckRequest", value: { node: { id: "db" } } },
            }),
          ),
        ),
      ],
      code: status.PERMISSION_DENIED,
      text: /not that of "db"/,
    },
  ];

  for (const { what, path = delta, say = () => [hello("web")], code, text } of refusals) {
    test(`refused: ${what}`, async () => {
      const call = open(web, path);
      const end = ending(call);
      for (const message of say()) call.write(message);
      const { code: actual, details, received } = await end;
      assert.equal(status[actual], status[code], details);
      assert.match(details, text);
      assert.equal(received.includes("of-db"), false);
    });
  }

  test("each proxy gets its own resources and no other's", async () => {
    for (const [id, identity, own, other] of [
      ["web", web, "of-web", "of-db"],
      ["db", db, "of-db", "of-web"],
    ] as const) {
      const call = open(identity, delta);
      const end = ending(call);
      call.write(hello(id));
      const { received } = await end;
      assert.equal(received.includes(own), true);
      assert.equal(received.includes(other), false);
    }
  });

  test("a certificate of the CA that nobody knows is refused", async () => {
    const call = open(await ca.issue([{ type: "url", value: "spiffe://test/proxy/web" }]), delta);
    const end = ending(call);
    call.write(hello("web"));
    assert.equal((await end).code, status.UNAUTHENTICATED);
  });

  test("a certificate of another CA, and none, reach no stream", async () => {
    const before = server.counters().streams;
    const other = await createTestCa("test control CA");
    for (const identity of [await other.issue([{ type: "url", value: "spiffe://test/proxy/web" }]), undefined]) {
      const call = open(identity, delta);
      const end = ending(call);
      call.write(hello("web"));
      assert.equal((await end).code, status.UNAVAILABLE);
    }
    assert.equal(server.counters().streams, before);
  });

  /** The server's certificate, or the error of the handshake. */
  function handshake(maxVersion: SecureVersion): Promise<string> {
    return new Promise((resolve) => {
      const options = {
        host: "127.0.0.1",
        port,
        servername: serverName,
        ca: ca.root,
        ALPNProtocols: ["h2"],
        maxVersion,
      };
      const socket = connectTls({ ...options, cert: web.cert, key: web.key }, () => {
        resolve(socket.getPeerCertificate().fingerprint256);
        socket.destroy();
      });
      socket.once("error", (error) => resolve(error.message));
    });
  }

  test("TLS 1.2 is refused", async () => {
    assert.match(await handshake("TLSv1.2"), /protocol version/i);
  });

  test("new certificates count for new handshakes and leave open streams alone", async () => {
    const call = open(web, healthChecks);
    const end = ending(call);
    const message = create(HealthCheckRequestOrEndpointHealthResponseSchema, {
      requestType: { case: "healthCheckRequest", value: { node: { id: "web" } } },
    });
    const before = server.counters().messagesReceived;
    call.write(Buffer.from(toBinary(HealthCheckRequestOrEndpointHealthResponseSchema, message)));
    await eventually("the stream is there", () => server.counters().messagesReceived > before);
    const fresh = await ca.issue([{ type: "dns", value: serverName }]);
    server.setTls({ ...fresh, clientCa: ca.root });
    assert.equal(await handshake("TLSv1.3"), new X509Certificate(fresh.cert).fingerprint256);
    assert.match(await handshake("TLSv1.2"), /protocol version/i);
    authenticator.revoke("web");
    const { code, details } = await end;
    assert.equal(status[code], "PERMISSION_DENIED", details);
    authenticator.allow(web.cert, "web");
  });

  test("hostile bytes and too many connections harm nobody", async () => {
    const closed = (bytes: Uint8Array | string) =>
      new Promise<void>((resolve) => {
        const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
        socket.on("error", () => {});
        socket.once("close", () => resolve());
      });
    await Promise.all([
      closed("GET / HTTP/1.1\r\n\r\n"),
      closed(Buffer.alloc(70_000, 0x16)),
      closed("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ]);
    const idle = Array.from({ length: 60 }, () => connect(port, "127.0.0.1"));
    let refused = 0;
    for (const socket of idle) {
      socket.on("error", () => {});
      socket.once("close", () => {
        refused += 1;
      });
    }
    await eventually("the surplus is refused", () => refused >= 20);
    for (const socket of idle) socket.destroy();
    await eventually("a good client is served", async () => {
      const call = open(web, delta);
      const end = ending(call);
      call.write(hello("web"));
      return (await end).received.includes("of-web");
    });
  });

  test("an address that is taken is an error", async () => {
    await assert.rejects(server.listen("127.0.0.1", port), { code: "unavailable" });
  });
});
