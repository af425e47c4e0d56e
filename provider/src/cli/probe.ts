/** Sends one line through the mesh and reads how each proxy's connection counter moved. */
import type { Duplex } from "node:stream";
import { MeshError } from "../model/errors.ts";
import { acceptedConnections } from "./envoy-counters.ts";
import { type PlacedUnit, readServices } from "./mesh-view.ts";
import { findRoute, type Hop, type Route, type RouteRequest } from "./route.ts";
import { formatTable } from "./table.ts";

export interface EchoResult {
  readonly route: Route;
  readonly answer: string;
  readonly elapsedMs: number;
  readonly hops: readonly { readonly label: string; readonly before: number; readonly after: number }[];
}

const ANSWER_WITHIN_MS = 10_000;
const NO_ANSWER_HINT = "does an intention allow it, and does the destination run? `isthmus status` shows the proxies";
const MAX_ANSWER_LENGTH = 1024 * 1024;

/**
 * Dials the upstream from inside the source's unit, sends `text` and a newline and waits for a line.
 * @throws {MeshError} `not_found` without a route, `unavailable` when the connection ends or is silent for 10 s.
 */
export async function echo(request: RouteRequest, text: string, units: readonly PlacedUnit[]): Promise<EchoResult> {
  if (text.includes("\n")) throw new MeshError("invalid", "echo: the text must be one line");
  const services = await readServices(units);
  const route = findRoute(
    request,
    services,
    units.map(({ state }) => state.id),
  );
  const before = await countAll(route.hops, units);
  const start = performance.now();
  const stream = await unitOf(route.from, units).runtime.dial(route.from, { port: route.localPort });
  const answer = await exchangeLine(stream, text, `${route.from.name} -> ${route.destination}`);
  const elapsedMs = performance.now() - start;
  const after = await countAll(route.hops, units);
  const hops = route.hops.map(({ label }, index) => ({ label, before: before[index] ?? 0, after: after[index] ?? 0 }));
  return { route, answer, elapsedMs, hops };
}

/** The result in words: what came back and one line a hop. */
export function describeEcho(result: EchoResult): string {
  const { route, answer, elapsedMs, hops } = result;
  const rows = hops.map(({ label, before, after }) => [label, `${before} -> ${after}`, `+${after - before}`]);
  const title = `${route.from.name} (${route.from.datacenter}) -> ${route.destination} (${route.datacenter}), ${elapsedMs.toFixed(1)} ms`;
  return `${title}\nechoed: ${answer}\n\n${formatTable(["hop", "connections", "moved"], rows)}`;
}

function countAll(hops: readonly Hop[], units: readonly PlacedUnit[]): Promise<readonly number[]> {
  return Promise.all(
    hops.map(async ({ unit }) =>
      acceptedConnections(await unitOf(unit, units).runtime.dial(unit, { socket: "admin.sock" })),
    ),
  );
}

function unitOf(id: Hop["unit"], units: readonly PlacedUnit[]): PlacedUnit {
  const found = units.find(({ state }) => state.id === id);
  if (found === undefined)
    throw new MeshError("internal", `unit ${id.role} "${id.name}" (${id.datacenter}) is not in the list`);
  return found;
}

async function exchangeLine(stream: Duplex, text: string, way: string): Promise<string> {
  const timer = setTimeout(
    () => stream.destroy(new Error(`no answer within ${ANSWER_WITHIN_MS / 1000} s`)),
    ANSWER_WITHIN_MS,
  );
  let received = "";
  try {
    stream.setEncoding("utf8");
    stream.write(`${text}\n`);
    for await (const chunk of stream) {
      received += String(chunk);
      if (received.includes("\n") || received.length > MAX_ANSWER_LENGTH) return received.split("\n", 1)[0] ?? "";
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("unavailable", `${way}: ${reason}; ${NO_ANSWER_HINT}`, { cause });
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
  throw new MeshError("unavailable", `${way}: closed before an answer came; ${NO_ANSWER_HINT}`);
}
