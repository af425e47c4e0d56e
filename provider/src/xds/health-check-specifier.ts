/** The health checks that a proxy runs for us, as HDS wants them. Envoy aborts on some that are well formed but bad: none of those passes here. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { RequestMethod } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { HealthCheckSchema } from "../gen/envoy/config/core/v3/health_check_pb.ts";
import type { ClusterHealthCheckSchema, HealthCheckSpecifier } from "../gen/envoy/service/health/v3/hds_pb.ts";
import { HealthCheckSpecifierSchema } from "../gen/envoy/service/health/v3/hds_pb.ts";
import type { ProxyCheck } from "../model/proxy-snapshot.ts";
import { isIpLiteral, socketAddress } from "./address.ts";

/** A specifier, and the checks that were left out of it, each with what is wrong. */
export interface SpecifierResult {
  /** One cluster a check, named by its checkId, sorted. Without checks it is empty, which ends the ones before. */
  readonly specifier: HealthCheckSpecifier;
  readonly rejected: readonly { readonly checkId: string; readonly reason: string }[];
}

/** How often a proxy reports unless a check is quicker. */
const reportIntervalMs = 1000;

/** Each check costs a proxy about 64 KB. */
const maxChecks = 128;

/** Builds the specifier for a proxy's checks. Never throws: a bad check is left out and named. */
export function healthCheckSpecifier(checks: readonly ProxyCheck[]): SpecifierResult {
  const rejected: { checkId: string; reason: string }[] = [];
  const accepted = new Map<string, ProxyCheck>();
  for (const check of [...checks].sort((a, b) => (a.checkId < b.checkId ? -1 : 1))) {
    const reason = accepted.has(check.checkId)
      ? "another check has the same id"
      : accepted.size >= maxChecks
        ? `a proxy runs ${maxChecks} checks at most`
        : problem(check);
    if (reason === undefined) accepted.set(check.checkId, check);
    else rejected.push({ checkId: check.checkId, reason });
  }
  const intervals = [...accepted.values()].map((check) => check.intervalMs);
  const specifier = create(HealthCheckSpecifierSchema, {
    clusterHealthChecks: [...accepted.values()].map(clusterHealthCheck),
    interval: durationFromMs(Math.min(reportIntervalMs, ...intervals)),
  });
  return { specifier, rejected };
}

/** Undefined for a check that Envoy takes. */
function problem(check: ProxyCheck): string | undefined {
  if (!/^[\x21-\x7e][\x20-\x7e]{0,254}$/.test(check.checkId)) return "its id must be 1 to 255 printable characters";
  if (!isIpLiteral(check.address)) return `address "${check.address}" is not an IP address`;
  if (!isWithin(check.port, 1, 65_535)) return `port ${check.port} is not in 1..65535`;
  if (!isWithin(check.intervalMs, 100, 86_400_000)) return `interval ${check.intervalMs} ms is not in 100 ms..24 h`;
  if (!isWithin(check.timeoutMs, 10, 86_400_000)) return `timeout ${check.timeoutMs} ms is not in 10 ms..24 h`;
  if (!check.http) return undefined;
  const { host, path, method } = check.http;
  if (!/^[A-Za-z0-9._:[\]-]{0,255}$/.test(host)) return `host "${host}" is not a host name`;
  if (!/^\/[\x21-\x7e]{0,2047}$/.test(path)) return `path "${path}" is not an absolute path without spaces`;
  if (requestMethod(method) === undefined) return `method "${method}" is not one of ${Object.keys(methods).join(", ")}`;
  return undefined;
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

const methods: Readonly<Record<string, RequestMethod>> = {
  GET: RequestMethod.GET,
  HEAD: RequestMethod.HEAD,
  POST: RequestMethod.POST,
  PUT: RequestMethod.PUT,
  DELETE: RequestMethod.DELETE,
  OPTIONS: RequestMethod.OPTIONS,
  PATCH: RequestMethod.PATCH,
};

/** Empty means GET. */
function requestMethod(method: string): RequestMethod | undefined {
  const name = method === "" ? "GET" : method;
  return Object.hasOwn(methods, name) ? methods[name] : undefined;
}

function clusterHealthCheck(check: ProxyCheck): MessageInitShape<typeof ClusterHealthCheckSchema> {
  return {
    clusterName: check.checkId,
    healthChecks: [healthCheck(check)],
    localityEndpoints: [{ endpoints: [{ address: socketAddress(check.address, check.port) }] }],
  };
}

function healthCheck(check: ProxyCheck): MessageInitShape<typeof HealthCheckSchema> {
  const interval = durationFromMs(check.intervalMs);
  return {
    timeout: durationFromMs(check.timeoutMs),
    interval,
    // A cluster of a health check never has traffic; the default would be one probe a minute.
    noTrafficInterval: interval,
    noTrafficHealthyInterval: interval,
    unhealthyThreshold: 1,
    healthyThreshold: 1,
    reuseConnection: false,
    healthChecker: check.http
      ? { case: "httpHealthCheck", value: httpCheck(check.http) }
      : { case: "tcpHealthCheck", value: {} },
  };
}

/** As in Consul, every 2xx passes. */
function httpCheck(http: NonNullable<ProxyCheck["http"]>) {
  return {
    host: http.host,
    path: http.path,
    method: requestMethod(http.method) ?? RequestMethod.GET,
    expectedStatuses: [{ start: 200n, end: 300n }],
  };
}
