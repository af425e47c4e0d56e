/** Hostile input: nothing ends the server, nothing is answered with 500, nothing takes more than its share. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createTestApi, operatorSecret, type TestApi } from "./fixture.test.ts";
import { maxBodyBytes } from "./json-body.ts";

const paths: readonly (readonly [string, string])[] = [
  ["PUT", "/v1/agent/service/register"],
  ["PUT", "/v1/agent/check/register"],
  ["PUT", "/v1/agent/check/update/x"],
  ["PUT", "/v1/catalog/register"],
  ["PUT", "/v1/catalog/deregister"],
  ["PUT", "/v1/config"],
  ["PUT", "/v1/connect/intentions/exact?source=a&destination=b"],
  ["POST", "/v1/connect/intentions"],
  ["PUT", "/v1/acl/policy"],
  ["PUT", "/v1/acl/token"],
  ["POST", "/v1/agent/connect/authorize"],
  ["PUT", "/v1/isthmus/proxies/x/identity"],
];

const words = [
  "Name",
  "name",
  "ID",
  "Kind",
  "proxy-defaults",
  "service-intentions",
  "mesh-gateway",
  "connect-proxy",
  "Port",
  "Proxy",
  "Upstreams",
  "MeshGateway",
  "Mode",
  "Connect",
  "SidecarService",
  "Check",
  "Checks",
  "TTL",
  "TCP",
  "Interval",
  "Sources",
  "Action",
  "Service",
  "Node",
  "Address",
  "Meta",
  "__proto__",
  "constructor",
  "toString",
  "../../etc/passwd",
  "a\u0000b",
  "*",
  "10s",
];

const mutant: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, 1e308, 65536, "", "\ud800"),
    fc.constantFrom<unknown>(...words),
    fc.string(),
    fc.array(tie("value"), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.constantFrom(...words), tie("value")), { maxLength: 5 })
      .map((pairs) => Object.fromEntries(pairs)),
  ),
})).value;

describe("hostile input", () => {
  it("no JSON makes the server fail", async () => {
    await using api = await createTestApi();
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), mutant, async ([method, path], body) => {
        const reply = await api.call(method, path, JSON.stringify(body) ?? "");
        assert.notEqual(reply.status, 500, `${path} ${JSON.stringify(body)} ${api.logged.at(-1)}`);
      }),
      { numRuns: 1000 },
    );
    await alive(api);
  });

  it("no bytes make the server fail", async () => {
    await using api = await createTestApi({ limits: { headersTimeoutMs: 500, requestTimeoutMs: 500 } });
    const line = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.string().map((text) => Buffer.from(`GET /${text} HTTP/1.1\r\nHost: x\r\n\r\n`)),
      fc
        .string()
        .map((text) =>
          Buffer.from(
            `PUT /v1/config HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-Consul-Token: ${text}\r\n\r\n{}{}{`,
          ),
        ),
      fc
        .constantFrom(
          "GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
          "GET /v1/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
          "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
          "GET //v1//x HTTP/1.1\r\nHost: x\r\n\r\n",
          "PUT /v1/config HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
          "GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        )
        .map((text) => Buffer.from(text)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 20, maxLength: 20 }), async (clients) => {
        await Promise.all(clients.map((bytes) => exchange(api.port, bytes)));
      }),
      { numRuns: 12 },
    );
    assert.deepEqual(api.logged, []);
    await alive(api);
  });

  it("no query or path makes the server fail", async () => {
    await using api = await createTestApi();
    const piece = fc.constantFrom("v1", "catalog", "service", "config", "acl", "policy", "%2e%2e", "%00", "");
    const wellFormed = fc
      .string({ unit: "binary" })
      .filter((text) => text.isWellFormed())
      .map((text) => encodeURIComponent(text));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(piece, wellFormed), { maxLength: 6 }),
        fc.webQueryParameters(),
        async (segments, query) => {
          const reply = await api.call("GET", `/${segments.join("/")}?${query}&wait=1ms`);
          assert.ok(reply.status < 500, `${segments} ${query} ${reply.status} ${api.logged.at(-1)}`);
        },
      ),
      { numRuns: 400 },
    );
    await alive(api);
  });

  const refused: readonly (readonly [string, string, RegExp])[] = [
    ["too large", `{"Name":"${"a".repeat(maxBodyBytes)}"}`, /larger than 524288 bytes/],
    [
      "too deep",
      `{"Kind":"proxy-defaults","Config":${"[".repeat(10_000)}${"]".repeat(10_000)}}`,
      /nested deeper than 32/,
    ],
  ];
  for (const [what, body, message] of refused) {
    it(`refuses a body that is ${what}`, async () => {
      await using api = await createTestApi();
      const reply = await api.call("PUT", "/v1/config", body);
      assert.equal(reply.status, 400);
      assert.match(reply.text, message);
      await alive(api);
    });
  }

  it("refuses a chunked body that grows too large, and an encoded one", async () => {
    await using api = await createTestApi();
    const chunk = `10000\r\n${"a".repeat(0x10000)}\r\n`;
    const head = `PUT /v1/config HTTP/1.1\r\nHost: x\r\nX-Consul-Token: ${operatorSecret}\r\n`;
    const grown = await exchange(api.port, Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(9)}`));
    assert.match(grown, /^HTTP\/1\.1 400 [\s\S]*Connection: close[\s\S]*larger than/i);
    const packed = await exchange(
      api.port,
      Buffer.from(`${head}Content-Encoding: gzip\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc`),
    );
    assert.match(packed, /^HTTP\/1\.1 400 [\s\S]*Content-Encoding "gzip" is not supported/);
  });

  it("ends connections that are too slow", async () => {
    await using api = await createTestApi({ limits: { headersTimeoutMs: 200, requestTimeoutMs: 400 } });
    const silent = exchange(api.port, Buffer.from(""));
    const half = exchange(api.port, Buffer.from("GET /v1/status/leader HTTP/1.1\r\nHost:"));
    const body = exchange(
      api.port,
      Buffer.from(
        `PUT /v1/config HTTP/1.1\r\nHost: x\r\nX-Consul-Token: ${operatorSecret}\r\nContent-Length: 100\r\n\r\n{`,
      ),
    );
    const [, second, third] = await Promise.all([silent, half, body]);
    assert.match(second, /^(HTTP\/1\.1 4\d\d|$)/);
    assert.match(third, /^(HTTP\/1\.1 4\d\d|$)/);
    await alive(api);
  });

  it("answers wrong paths and methods in words", async () => {
    await using api = await createTestApi();
    const missing = await api.call("GET", "/v1/agent/servises");
    assert.equal(missing.status, 404);
    assert.match(missing.text, /Paths near it: \/v1\/agent\//);
    const method = await api.call("DELETE", "/v1/catalog/nodes");
    assert.equal(method.status, 405);
    assert.equal(method.headers.get("allow"), "GET");
    assert.equal((await api.call("GET", "/v1/catalog/nodes?filter=x")).status, 400);
    assert.equal((await api.call("GET", "/v1/catalog/nodes?ns=team")).status, 400);
    assert.equal((await api.call("GET", "/v1/catalog/nodes?ns=default&partition=default&cached&stale")).status, 200);
    assert.match((await api.call("GET", "/v1/catalog/nodes?pretty")).text, /\n {4}/);
    const metrics = await api.call("GET", "/v1/agent/metrics?format=prometheus");
    assert.match(metrics.text, /isthmus_proxies_connected 2/);
    assert.match(metrics.text, /isthmus_api_http_ms_count\{method="GET",path="\/v1\/catalog\/nodes",status="200"\}/);
  });
});

async function alive(api: TestApi): Promise<void> {
  assert.equal((await api.call("GET", "/v1/status/leader")).json, "127.0.0.1:8300");
}

/** Sends bytes and reads until the server ends the connection, or has answered; ends it after two seconds at most. */
function exchange(port: number, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const end = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(2_000, end);
    socket.on("data", (data) => {
      text += data.toString("latin1");
      if (/\r\n\r\n[\s\S]/.test(text) || /Content-Length: 0/i.test(text)) end();
    });
    socket.on("error", end);
    socket.on("close", end);
  });
}
