/** Figures of the API itself, and all figures in Consul's JSON and in Prometheus' text. */
import type { Gauge } from "./dependencies.ts";

interface RequestFigure {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly count: number;
  readonly sumMs: number;
  readonly maxMs: number;
}

export interface ApiMetrics {
  /** Counts one answer; the path is the route's, so that there are few of them. */
  answered(method: string, path: string, status: number, durationMs: number): void;
  requests(): readonly RequestFigure[];
}

export function createApiMetrics(): ApiMetrics {
  const figures = new Map<string, RequestFigure>();
  return {
    answered: (method, path, status, durationMs) => {
      const key = `${method} ${path} ${status}`;
      const { count, sumMs, maxMs } = figures.get(key) ?? { count: 0, sumMs: 0, maxMs: 0 };
      figures.set(key, {
        method,
        path,
        status,
        count: count + 1,
        sumMs: sumMs + durationMs,
        maxMs: Math.max(maxMs, durationMs),
      });
    },
    requests: () => [...figures.values()],
  };
}

/** Consul's shape. */
export function metricsJson(metrics: ApiMetrics, gauges: readonly Gauge[]): unknown {
  return {
    Gauges: gauges.map(({ name, value, labels }) => ({ Name: name, Value: value, Labels: labels ?? {} })),
    Points: [],
    Counters: [],
    Samples: metrics.requests().map(({ method, path, status, count, sumMs, maxMs }) => ({
      Name: "isthmus.api.http",
      Count: count,
      Sum: sumMs,
      Max: maxMs,
      Mean: sumMs / count,
      Labels: { method, path, status: String(status) },
    })),
  };
}

/** Prometheus' exposition format 0.0.4. */
export function metricsText(metrics: ApiMetrics, gauges: readonly Gauge[]): string {
  const lines: string[] = [];
  let last = "";
  for (const { name, help, value, labels } of [...gauges].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const id = name.replaceAll(/[^A-Za-z0-9_]/g, "_");
    if (id !== last) lines.push(`# HELP ${id} ${help.replaceAll("\n", " ")}`, `# TYPE ${id} gauge`);
    last = id;
    lines.push(`${id}${labelText(labels ?? {})} ${value}`);
  }
  lines.push(
    "# HELP isthmus_api_http_ms Time to answer a request, in milliseconds",
    "# TYPE isthmus_api_http_ms summary",
  );
  for (const { method, path, status, count, sumMs } of metrics.requests()) {
    const labels = labelText({ method, path, status: String(status) });
    lines.push(`isthmus_api_http_ms_sum${labels} ${sumMs}`, `isthmus_api_http_ms_count${labels} ${count}`);
  }
  return `${lines.join("\n")}\n`;
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([key, value]) => `${key}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
