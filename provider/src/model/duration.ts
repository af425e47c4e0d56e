/** Durations as Go writes them (`10s`, `1m30s`, `500ms`). Pure. */

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a Go duration; undefined for anything else. A bare `0` is zero. */
export function parseDurationMs(text: string): number | undefined {
  if (text === "0") return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/gy)];
  if (parts.length === 0 || parts.reduce((length, part) => length + part[0].length, 0) !== text.length)
    return undefined;
  return parts.reduce((total, part) => total + Number(part[1]) * unitMs[part[2]!]!, 0);
}
