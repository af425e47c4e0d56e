/** A real Envoy for tests: finds the binary, validates a configuration, runs one. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { envoyBinary } from "../../provider/src/toolchain/envoy.ts";

/** Path of an Envoy 1.40, fetched on first use; prints what it fetches. */
export function envoyForTests(): Promise<string> {
  return envoyBinary((line) => console.error(line));
}

/**
 * Passes a bootstrap to `envoy --mode validate`.
 * @param folder where the file is written
 * @throws with Envoy's words when it refuses
 */
export async function validateBootstrap(config: unknown, folder: string): Promise<void> {
  const binary = await envoyForTests();
  const file = join(folder, "bootstrap.json");
  await writeFile(file, JSON.stringify(config));
  try {
    await promisify(execFile)(binary, ["--mode", "validate", "-l", "error", "--config-path", file]);
  } catch (error) {
    const output = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    throw new Error(`Envoy refuses the configuration:\n${output}`, { cause: error });
  }
}

/** A running Envoy; disposing ends it. */
export interface RunningEnvoy {
  readonly process: ChildProcess;
  /** What it has logged so far. */
  readonly log: () => string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts Envoy with a bootstrap. The caller waits for what it needs to be there. */
export async function runEnvoy(config: unknown, folder: string): Promise<RunningEnvoy> {
  const binary = await envoyForTests();
  const file = join(folder, "bootstrap.json");
  await writeFile(file, JSON.stringify(config));
  const args = ["--config-path", file, "--concurrency", "1", "--disable-hot-restart", "--drain-time-s", "1"];
  const child = spawn(binary, [...args, "-l", "warning"], { stdio: ["ignore", "ignore", "pipe"] });
  const lines: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => lines.push(chunk));
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return {
    process: child,
    log: () => Buffer.concat(lines).toString(),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
