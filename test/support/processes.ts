/** What every process of the machine shows to others: its arguments and its environment. */
import { readdirSync, readFileSync } from "node:fs";

/** `pid file` to content, for all processes whose files can be read. */
export function processTexts(): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    for (const file of ["cmdline", "environ"]) {
      try {
        texts.set(`${pid} ${file}`, readFileSync(`/proc/${pid}/${file}`, "latin1"));
      } catch {
        // It has ended, or it is somebody else's.
      }
    }
  }
  return texts;
}

/** Looks again and again until stopped, so that processes of a moment are seen too. */
export function watchProcesses(intervalMs = 100): { stop(): ReadonlySet<string> } {
  const seen = new Set<string>();
  const timer = setInterval(() => {
    for (const text of processTexts().values()) seen.add(text);
  }, intervalMs);
  return {
    stop: () => {
      clearInterval(timer);
      return seen;
    },
  };
}

/** Resident memory in megabytes. */
export function residentMegabytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}
