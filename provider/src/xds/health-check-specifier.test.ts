import assert from "node:assert/strict";
import { test } from "node:test";
import { toJson } from "@bufbuild/protobuf";
import { HealthCheckSpecifierSchema } from "../gen/envoy/service/health/v3/hds_pb.ts";
import type { ProxyCheck } from "../model/proxy-snapshot.ts";
import { healthCheckSpecifier } from "./health-check-specifier.ts";

const tcp: ProxyCheck = { checkId: "web:tcp", address: "127.0.0.1", port: 8080, intervalMs: 500, timeoutMs: 200 };
const http: ProxyCheck = { ...tcp, checkId: "web:http", http: { host: "web", path: "/health?x=1", method: "GET" } };

test("a TCP and an HTTP check", () => {
  const { specifier, rejected } = healthCheckSpecifier([tcp, http]);
  assert.deepEqual(rejected, []);
  const common = {
    timeout: "0.200s",
    interval: "0.500s",
    unhealthyThreshold: 1,
    healthyThreshold: 1,
    reuseConnection: false,
    noTrafficInterval: "0.500s",
    noTrafficHealthyInterval: "0.500s",
  };
  const localityEndpoints = [
    { endpoints: [{ address: { socketAddress: { address: "127.0.0.1", portValue: 8080 } } }] },
  ];
  const httpHealthCheck = {
    host: "web",
    path: "/health?x=1",
    expectedStatuses: [{ start: "200", end: "300" }],
    method: "GET",
  };
  assert.deepEqual(toJson(HealthCheckSpecifierSchema, specifier), {
    clusterHealthChecks: [
      { clusterName: "web:http", healthChecks: [{ ...common, httpHealthCheck }], localityEndpoints },
      { clusterName: "web:tcp", healthChecks: [{ ...common, tcpHealthCheck: {} }], localityEndpoints },
    ],
    interval: "0.500s",
  });
});

test("without checks it is empty but reports go on", () => {
  assert.deepEqual(toJson(HealthCheckSpecifierSchema, healthCheckSpecifier([]).specifier), { interval: "1s" });
});

const bad: readonly (readonly [what: string, check: ProxyCheck, reason: RegExp])[] = [
  ["a host name", { ...tcp, address: "localhost" }, /not an IP address/],
  ["a zone", { ...tcp, address: "fe80::1%lo" }, /not an IP address/],
  ["port 0", { ...tcp, port: 0 }, /port 0/],
  ["a port that is no whole number", { ...tcp, port: 80.5 }, /port 80.5/],
  ["an interval of nothing", { ...tcp, intervalMs: 0 }, /interval/],
  ["an interval that is no number", { ...tcp, intervalMs: Number.NaN }, /interval/],
  ["a timeout of nothing", { ...tcp, timeoutMs: 0 }, /timeout/],
  ["an empty id", { ...tcp, checkId: "" }, /id/],
  ["a line break in the id", { ...tcp, checkId: "a\nb" }, /id/],
  ["a line break in the path", { ...http, http: { host: "web", path: "/\r\nX: y", method: "GET" } }, /path/],
  ["a path without a slash", { ...http, http: { host: "web", path: "health", method: "GET" } }, /path/],
  ["a line break in the host", { ...http, http: { host: "web\r\n", path: "/", method: "GET" } }, /host/],
  ["a method that Envoy refuses", { ...http, http: { host: "web", path: "/", method: "CONNECT" } }, /method/],
  ["a method by a name of Object's", { ...http, http: { host: "web", path: "/", method: "constructor" } }, /method/],
];
for (const [what, check, reason] of bad) {
  test(`${what}: that check is left out, the others stay`, () => {
    const other = { ...tcp, checkId: "other" };
    const { specifier, rejected } = healthCheckSpecifier([check, other]);
    assert.deepEqual(
      specifier.clusterHealthChecks.map((one) => one.clusterName),
      ["other"],
    );
    assert.equal(rejected[0]?.checkId, check.checkId);
    assert.match(rejected[0]?.reason ?? "", reason);
  });
}

test("an id twice, or too many checks", () => {
  assert.equal(healthCheckSpecifier([tcp, tcp]).rejected.length, 1);
  const many = Array.from({ length: 200 }, (_, index) => ({ ...tcp, checkId: `check-${index}` }));
  assert.equal(healthCheckSpecifier(many).specifier.clusterHealthChecks.length, 128);
});
