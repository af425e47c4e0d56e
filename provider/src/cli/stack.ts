/** One Pulumi stack of a project: finds the tools, prepares backend and passphrase and runs `pulumi` on it. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "../model/errors.ts";
import { nodeBinary } from "../toolchain/node.ts";
import type { Progress } from "../toolchain/progress.ts";
import { findPulumi } from "../toolchain/pulumi.ts";
import { ensurePassphraseFile, type Project } from "./project.ts";
import { ownBackend, pulumiEnvironment, usesOwnBackend } from "./pulumi-environment.ts";
import { changesFromEvents, type ResourceChanges } from "./resource-changes.ts";

export interface Stack {
  readonly name: string;
  /** `pulumi <args> --stack <name>`, output shown. @throws {MeshError} `internal` when it fails. */
  run(args: readonly string[]): Promise<void>;
  /** `pulumi up` without questions. */
  up(): Promise<ResourceChanges>;
  /** Selects the stack and makes it if absent. */
  ensure(): Promise<void>;
}

/** Gets the tools that are missing and opens the stack. */
export async function openStack(project: Project, name: string, progress: Progress): Promise<Stack> {
  const node = await nodeBinary(progress);
  const pulumi = await findPulumi(project.programDirectory, progress);
  const passphraseFile = await ensurePassphraseFile(project);
  if (usesOwnBackend(process.env)) await mkdir(ownBackend(project.directory).backend, { recursive: true, mode: 0o700 });
  const env = pulumiEnvironment({ base: process.env, directory: project.directory, passphraseFile, pulumi, node });

  const run = (args: readonly string[], extra: NodeJS.ProcessEnv = {}) =>
    runVisibly(pulumi.binary, [...args, "--non-interactive", "--stack", name], project.root, { ...env, ...extra });

  return {
    name,
    run: (args) => run(args),
    ensure: () => run(["stack", "select", "--create"]),
    up: async () => {
      const directory = await mkdtemp(join(project.directory, "events-"));
      const events = join(directory, "events.json");
      try {
        // The engine's event log is an option of its debugging set.
        await run(["up", "--yes", "--skip-preview", "--event-log", events], { PULUMI_DEBUG_COMMANDS: "true" });
        return changesFromEvents(await readFile(events, "utf8"));
      } finally {
        await rm(directory, { recursive: true });
      }
    },
  };
}

/** Runs with the terminal's output; Ctrl-C goes to the child, which ends in its own time. */
async function runVisibly(file: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(file, args, { cwd, env, stdio: ["ignore", "inherit", "inherit"] });
  const onInterrupt = () => {};
  const onTerminate = () => child.kill("SIGTERM");
  process.on("SIGINT", onInterrupt).on("SIGTERM", onTerminate);
  try {
    const code = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("exit", resolve));
    if (code !== 0)
      throw new MeshError("internal", `pulumi ${args[0]} failed (exit code ${code}); its message is above`);
  } finally {
    process.off("SIGINT", onInterrupt).off("SIGTERM", onTerminate);
  }
}
