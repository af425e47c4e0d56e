/** Finds or gets the Pulumi engine with what TypeScript programs need beside it. */
import { createHash } from "node:crypto";
import { chmod, copyFile, link, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { MeshError } from "../model/errors.ts";
import { cached } from "./cache.ts";
import { findOnPath, isExecutable, runCommand } from "./command.ts";
import type { Progress } from "./progress.ts";
import { buildEngine, ENGINE_VERSION, installOfficial } from "./pulumi-engine.ts";

/** Where the language host's bundle lies, whether this runs from `src` or from `dist`. */
const HOST_BUNDLE = join(import.meta.dirname, "../../dist/language-host.mjs");

/** The file's name beside the engine. */
const HOST_FILE = "language-host.mjs";

/** A Pulumi that can run TypeScript programs. */
export interface Pulumi {
  readonly binary: string;
  /** `built` has no provider plugins but the dynamic one, and cannot be expected to download any. */
  readonly source: "path" | "official" | "built";
}

/**
 * The Pulumi on PATH when it has a language host for Node, else the official one in the tool cache, else one built with Go.
 * `programDirectory` is where @pulumi/pulumi is looked for.
 * @throws {MeshError} `unavailable` when none can be had; the message says what to install.
 */
export async function findPulumi(programDirectory: string, progress: Progress = () => {}): Promise<Pulumi> {
  const onPath = await findOnPath("pulumi");
  if (onPath !== undefined) {
    const problem = await unusable(onPath);
    if (problem === undefined) return { binary: onPath, source: "path" };
    progress(`${onPath}: ${problem}; another one is used`);
  }
  const official = await installOfficial(progress);
  if (official !== undefined) return { binary: official, source: "official" };
  const engine = await buildEngine(progress);
  return { binary: await putBeside(engine, programDirectory), source: "built" };
}

/** Why a Pulumi on PATH does not do. */
async function unusable(binary: string): Promise<string | undefined> {
  const version = (
    await runCommand(binary, ["version"], {
      env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
      timeoutMs: 10_000,
    }).catch(() => "")
  ).trim();
  const [, major = "0", minor = "0"] = /^v?(\d+)\.(\d+)\./.exec(version) ?? [];
  if (Number(major) !== 3 || Number(minor) < 139) return `version ${version || "unknown"} is not 3.139 or newer`;
  const host = "pulumi-language-nodejs";
  if ((await isExecutable(join(dirname(binary), host))) || (await findOnPath(host)) !== undefined) return undefined;
  return `there is no ${host} beside it or on PATH`;
}

/**
 * A folder of the cache with the engine, our language host and npm's launcher of dynamic providers. The engine looks for
 * both beside itself after following symbolic links, hence a hard link. The folder's name holds the digest of what we add.
 */
async function putBeside(engine: string, programDirectory: string): Promise<string> {
  const host = await readFile(HOST_BUNDLE).catch((cause: unknown) => {
    throw new MeshError("internal", `${HOST_BUNDLE} is missing: run \`npm run build\``, { cause });
  });
  const launcher = await readFile(dynamicLauncher(programDirectory));
  const digest = createHash("sha256").update(host).update(launcher).digest("hex").slice(0, 12);
  const directory = await cached(
    `pulumi-${ENGINE_VERSION}-${process.platform}-${process.arch}-${digest}`,
    async (temporary) => {
      await link(engine, join(temporary, "pulumi")).catch(() => copyFile(engine, join(temporary, "pulumi")));
      await writeFile(join(temporary, HOST_FILE), host);
      await writeScript(
        join(temporary, "pulumi-language-nodejs"),
        `#!/bin/sh\nexec node "$(dirname "$(readlink -f "$0")")/${HOST_FILE}" "$@"\n`,
      );
      await writeScript(join(temporary, "pulumi-resource-pulumi-nodejs"), launcher);
    },
  );
  return join(directory, "pulumi");
}

function dynamicLauncher(programDirectory: string): string {
  for (const from of [join(programDirectory, "program.js"), import.meta.filename]) {
    try {
      return join(dirname(createRequire(from).resolve("@pulumi/pulumi/package.json")), "pulumi-resource-pulumi-nodejs");
    } catch {
      // Not installed there: the next place.
    }
  }
  throw new MeshError("unavailable", `${programDirectory}: @pulumi/pulumi is not installed there; run \`npm install\``);
}

async function writeScript(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(path, content);
  await chmod(path, 0o755);
}
