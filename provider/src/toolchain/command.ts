/** Runs a helper program to its end and finds programs on PATH. */
import { spawn } from "node:child_process";
import { access, constants, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { MeshError } from "../model/errors.ts";

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** After which it is ended. @default 60 000 */
  readonly timeoutMs?: number;
}

/** How much of a failed program's output the error repeats. */
const TAIL_LINES = 12;

/**
 * Runs a program without standard input and gives what it wrote to standard output.
 * @throws {MeshError} `unavailable` when it cannot be started, `internal` with its last lines when it fails or takes too long.
 */
export async function runCommand(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { timeoutMs = 60_000 } = options;
  const child = spawn(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
    detached: true, // a process group of its own, so that all it started ends with it
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  let ended: string | undefined;
  const end = (why: string) => {
    ended ??= why;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    process.kill(-child.pid, "SIGTERM");
  };
  const timer = setTimeout(() => end(`took more than ${timeoutMs / 1000} s`), timeoutMs);
  const onSignal = () => end("interrupted");
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", (cause) =>
        reject(new MeshError("unavailable", `${file}: cannot be started: ${cause.message}`, { cause })),
      );
      child.on("close", resolve);
    });
    const output = Buffer.concat(stdout).toString();
    if (code === 0) return output;
    const tail = `${output}${Buffer.concat(stderr)}`.trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
    throw new MeshError("internal", `${file} ${args.slice(0, 3).join(" ")}: ${ended ?? `exit code ${code}`}\n${tail}`);
  } finally {
    clearTimeout(timer);
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

/** The first executable file of this name on PATH. */
export async function findOnPath(name: string, path: string = process.env["PATH"] ?? ""): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter(isAbsolute)) {
    const file = join(folder, name);
    if (await isExecutable(file)) return file;
  }
  return undefined;
}

/** True for a file that this user may execute. */
export async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
