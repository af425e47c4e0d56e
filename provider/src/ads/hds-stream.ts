/** One health discovery stream: sends a proxy the checks it is to run and hands its reports back by check id. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { HealthStatus } from "../gen/envoy/config/core/v3/health_check_pb.ts";
import {
  type EndpointHealthResponse,
  HealthCheckRequestOrEndpointHealthResponseSchema,
  type HealthCheckSpecifier,
  HealthCheckSpecifierSchema,
} from "../gen/envoy/service/health/v3/hds_pb.ts";
import { MeshError } from "../model/errors.ts";
import type { ProxyCheck } from "../model/proxy-snapshot.ts";
import { createDeadline } from "./deadline.ts";
import type { Admission, ByteStream, Gate, StreamHandler } from "./gate.ts";
import type { XdsLimits } from "./limits.ts";
import type { HealthTarget } from "./source.ts";

/**
 * Makes what a proxy is to check: one cluster a check, named by the check's id, and beside it the checks that were left
 * out. Must be sound: Envoy aborts on a host name in place of an address.
 */
export type SpecifierBuilder = (checks: readonly ProxyCheck[]) => {
  readonly specifier: HealthCheckSpecifier;
  readonly rejected: readonly { readonly checkId: string; readonly reason: string }[];
};

export interface HdsStreamOptions {
  readonly gate: Gate;
  readonly health: HealthTarget;
  readonly specifier: SpecifierBuilder;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly limits: XdsLimits;
}

/** Shortest silence, in milliseconds, after which a proxy that has checks to run counts as lost. */
const leastSilenceMs = 3000;

/** The handler of one stream; it lives until `closed`. */
export function createHdsStream(stream: ByteStream, options: HdsStreamOptions): StreamHandler {
  const { gate, health, now, limits } = options;
  let admission: Admission | undefined;
  let unsubscribe: () => void = () => {};
  let sent: Buffer = Buffer.alloc(0);
  let checkIds: ReadonlySet<string> = new Set();
  let silenceMs = leastSilenceMs;
  let writable = true;
  let told = false;
  const introduced = createDeadline(now, () => stream.fail("unavailable", "the stream said nothing in time"));
  // Envoy ignores a specifier that it finds invalid without a word: only the missing reports show it.
  const silence = createDeadline(now, lost);
  introduced.set(limits.firstMessageTimeoutMs);

  function lost(): void {
    if (!admission || told) return;
    told = true;
    health.lost(admission.proxyId);
  }

  function enter(nodeId: string): void {
    admission = gate.admit(stream, nodeId);
    introduced.clear();
    unsubscribe = health.subscribe(admission.proxyId, send);
    send();
  }

  /** Sends the newest specifier, unless it is what the proxy has. A proxy without checks is left alone. */
  function send(): void {
    if (!admission || !writable) return;
    const checks = health.checks(admission.proxyId);
    const { specifier, rejected } = options.specifier(checks);
    const bytes = Buffer.from(toBinary(HealthCheckSpecifierSchema, specifier));
    if (rejected.length > 0) {
      health.report(
        admission.proxyId,
        rejected.map(({ checkId, reason }) => ({ checkId, healthy: false, reason })),
      );
    }
    if (bytes.equals(sent) || (specifier.clusterHealthChecks.length === 0 && sent.length === 0)) return;
    sent = bytes;
    checkIds = new Set(specifier.clusterHealthChecks.map(({ clusterName }) => clusterName));
    writable = stream.write(bytes);
    silenceMs = Math.max(leastSilenceMs, 3 * intervalMs(specifier));
    if (checkIds.size > 0) silence.set(silenceMs);
    else silence.clear();
  }

  function report(response: EndpointHealthResponse): void {
    if (!admission || checkIds.size === 0) return;
    silence.set(silenceMs);
    told = false;
    const results = response.clusterEndpointsHealth
      .filter(({ clusterName }) => checkIds.has(clusterName))
      .map(({ clusterName, localityEndpointsHealth }) => {
        const statuses = localityEndpointsHealth.flatMap(({ endpointsHealth }) =>
          endpointsHealth.map(({ healthStatus }) => healthStatus),
        );
        const bad = statuses.find((status) => status !== HealthStatus.HEALTHY) ?? HealthStatus.HEALTHY;
        const healthy = statuses.length > 0 && bad === HealthStatus.HEALTHY;
        return { checkId: clusterName, healthy, reason: statuses.length === 0 ? "no endpoint" : reasonOf(bad) };
      });
    if (results.length > 0) health.report(admission.proxyId, results);
  }

  return {
    message(bytes) {
      const { requestType } = decode(bytes);
      if (requestType.case === "healthCheckRequest") {
        if (admission) throw new MeshError("invalid", "a second health check request on one stream");
        enter(requestType.value.node?.id ?? "");
      } else if (!admission) {
        throw new MeshError("invalid", "the first message of a health stream must be a request with node.id");
      } else if (requestType.case === "endpointHealthResponse") {
        report(requestType.value);
      }
      // Envoy sends messages with nothing in them while it has nothing to check.
    },
    writable() {
      writable = true;
      send();
    },
    closed() {
      introduced.clear();
      silence.clear();
      unsubscribe();
      if (admission?.leave()) lost();
      admission = undefined;
    },
  };
}

function decode(bytes: Buffer) {
  try {
    return fromBinary(HealthCheckRequestOrEndpointHealthResponseSchema, bytes);
  } catch (cause) {
    throw new MeshError("invalid", "the message is no health check request and no report", { cause });
  }
}

function intervalMs(specifier: HealthCheckSpecifier): number {
  const { interval } = specifier;
  return interval === undefined ? 1000 : Number(interval.seconds) * 1000 + interval.nanos / 1e6;
}

function reasonOf(status: HealthStatus): string {
  switch (status) {
    case HealthStatus.HEALTHY:
      return "the check passed";
    case HealthStatus.TIMEOUT:
      return "the check timed out";
    case HealthStatus.DRAINING:
      return "the endpoint is draining";
    case HealthStatus.DEGRADED:
      return "the endpoint is degraded";
    default:
      return "the check failed";
  }
}
