/** Which checks a proxy runs over HDS: from check records to what Envoy is told. Pure. */
import { isIP } from "node:net";
import { parseDurationMs } from "../model/duration.ts";
import type { ProxyCheck } from "../model/proxy-snapshot.ts";
import type { CheckRecord } from "../model/records.ts";

/** TCP and HTTP checks with a literal IP; TTL and alias checks are not run by anybody. Sorted by check id. */
export function proxyChecks(checks: readonly CheckRecord[]): readonly ProxyCheck[] {
  return checks.flatMap((check) => proxyCheck(check) ?? []).sort((a, b) => (a.checkId < b.checkId ? -1 : 1));
}

function proxyCheck(check: CheckRecord): ProxyCheck | undefined {
  const { TCP, HTTP, Interval, Timeout, Method } = check.Definition;
  const base = {
    checkId: check.CheckID,
    intervalMs: parseDurationMs(Interval ?? "10s") ?? 10_000,
    timeoutMs: parseDurationMs(Timeout ?? "10s") ?? 10_000,
  };
  if (TCP) {
    const at = TCP.lastIndexOf(":");
    const address = TCP.slice(0, at).replace(/^\[|\]$/g, "");
    return target(address, Number(TCP.slice(at + 1)), base);
  }
  if (HTTP && URL.canParse(HTTP)) {
    const url = new URL(HTTP);
    if (url.protocol !== "http:") return undefined;
    const http = { host: url.host, path: `${url.pathname}${url.search}`, method: Method || "GET" };
    return target(url.hostname.replace(/^\[|\]$/g, ""), Number(url.port || 80), { ...base, http });
  }
  return undefined;
}

function target<T extends object>(
  address: string,
  port: number,
  rest: T,
): ({ address: string; port: number } & T) | undefined {
  const literal = address === "localhost" ? "127.0.0.1" : address;
  return isIP(literal) ? { ...rest, address: literal, port } : undefined;
}
