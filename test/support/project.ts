/** A Pulumi project of its own for one test: the e2e program, a file backend, a mesh id, and a state folder, all in one folder. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { cacheDirectory } from "../../provider/src/toolchain/cache.ts";
import { findPulumi } from "../../provider/src/toolchain/pulumi.ts";
import type { Variant } from "../e2e/program/variant.ts";

const testFolder = join(import.meta.dirname, "..");

/** What one `pulumi` command did. */
export interface Outcome {
  readonly exitCode: number;
  /** stdout and stderr together. */
  readonly output: string;
  readonly durationMs: number;
  /** `{ create: 3, same: 9 }`, from the engine's own summary line. */
  readonly changes: Readonly<Record<string, number>>;
}

export interface Project {
  readonly directory: string;
  readonly mesh: string;
  readonly env: NodeJS.ProcessEnv;
  pulumi(args: readonly string[], variant?: Partial<Variant>, env?: NodeJS.ProcessEnv): Promise<Outcome>;
  /** `pulumi up`; fails the test with the whole output when it fails. */
  up(variant?: Partial<Variant>): Promise<Outcome>;
  preview(variant?: Partial<Variant>): Promise<Outcome>;
  destroy(): Promise<Outcome>;
  /** Removes the folder. */
  [Symbol.asyncDispose](): Promise<void>;
}

export async function createProject(options: {
  readonly runtime: "docker" | "local";
  /** Folder with package.json, tsconfig.json and index.ts. @default the e2e program */
  readonly program?: string;
  /** An existing folder with a program and its packages, used as it is and removed in the end, instead of a copy. */
  readonly folder?: string;
  readonly log?: (line: string) => void;
}): Promise<Project> {
  const parent = join(testFolder, ".tmp");
  await mkdir(parent, { recursive: true });
  const directory = options.folder ?? (await mkdtemp(join(parent, "p-")));
  if (!options.folder) {
    await cp(options.program ?? join(testFolder, "e2e/program"), directory, {
      recursive: true,
      filter: (source) => !source.includes("node_modules"),
    });
  }
  const mesh = randomBytes(4).toString("hex");
  await mkdir(join(directory, ".isthmus/backend"), { recursive: true });
  await writeFile(join(directory, ".isthmus/mesh"), mesh, { mode: 0o600 });
  await writeFile(join(directory, "Pulumi.yaml"), "name: e2e\nruntime: nodejs\n");
  const { binary } = await findPulumi(directory, options.log);
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: [join(testFolder, "../node_modules/.bin"), dirname(binary), process.env["PATH"]].join(delimiter),
    PULUMI_BACKEND_URL: `file://${join(directory, ".isthmus/backend")}`,
    PULUMI_CONFIG_PASSPHRASE: randomBytes(12).toString("hex"),
    PULUMI_HOME: join(directory, ".isthmus/pulumi"),
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    ISTHMUS_RUNTIME: options.runtime,
    ISTHMUS_CACHE_DIR: cacheDirectory(),
  };
  const pulumi: Project["pulumi"] = (args, variant = {}, extra = {}) =>
    run(binary, [...args, "--non-interactive"], directory, { ...env, ...extra, E2E: JSON.stringify(variant) });
  const good = async (outcome: Promise<Outcome>): Promise<Outcome> => {
    const result = await outcome;
    if (result.exitCode !== 0) throw new Error(`pulumi exited with ${result.exitCode}:\n${result.output}`);
    return result;
  };
  await good(pulumi(["stack", "init", "test"]));
  return {
    directory,
    mesh,
    env,
    pulumi,
    up: (variant) => good(pulumi(["up", "--yes", "--skip-preview"], variant)),
    preview: (variant) => pulumi(["preview", "--diff"], variant),
    destroy: () => good(pulumi(["destroy", "--yes", "--skip-preview"])),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

async function run(file: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<Outcome> {
  const start = performance.now();
  const child = spawn(file, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? -1));
  });
  const output = Buffer.concat(chunks).toString();
  const changes = Object.fromEntries(
    [...output.matchAll(/^\s+[+~\-0-9 ]*?(\d+) (?:to )?(created?|updated?|deleted?|replaced?|unchanged)$/gm)].map(
      (match) => [match[2]!.replace(/d$/, "").replace(/^unchange$/, "unchanged"), Number(match[1])],
    ),
  );
  return { exitCode, output, durationMs: performance.now() - start, changes };
}
