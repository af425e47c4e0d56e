/** Gets the Pulumi engine itself: from Pulumi's installer where the network allows it, else built with Go from its module. */
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isMeshError, MeshError } from "../model/errors.ts";
import { cacheDirectory, cached } from "./cache.ts";
import { findOnPath, isExecutable, runCommand } from "./command.ts";
import { type Progress, withProgress } from "./progress.ts";

/** The version of both ways; equals the one in `toolchain/pulumi/go.mod`. */
export const ENGINE_VERSION = "3.200.0";

const INSTALLER_URL = "https://get.pulumi.com";
const REACHABLE_WITHIN_MS = 3_000;
const MODULE = join(import.meta.dirname, "../../toolchain/pulumi");
const PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi";
const VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version";
const PLATFORM = `${process.platform}-${process.arch}`;
const BUILT = `pulumi-${ENGINE_VERSION}-${PLATFORM}-engine`;

/** Go minor version that the module asks for. */
const GO_MINOR = 24;

/**
 * Path of the official engine in the cache, or undefined when Pulumi's installer cannot be reached or fails, or when an
 * engine was built before (so that the network is asked once only).
 */
export async function installOfficial(progress: Progress): Promise<string | undefined> {
  if (await isExecutable(join(cacheDirectory(), BUILT, "pulumi"))) return undefined;
  const installer = async (): Promise<string | undefined> => {
    try {
      const response = await fetch(INSTALLER_URL, { signal: AbortSignal.timeout(REACHABLE_WITHIN_MS) });
      const text = await response.text();
      return response.ok && text.startsWith("#!/bin/sh") ? text : undefined;
    } catch {
      return undefined;
    }
  };
  try {
    const directory = await cached(`pulumi-${ENGINE_VERSION}-${PLATFORM}-official`, async (temporary) => {
      const script = await installer();
      if (script === undefined) throw new MeshError("unavailable", `${INSTALLER_URL} cannot be reached`);
      await withProgress(progress, `installing Pulumi ${ENGINE_VERSION} with its own installer (once)`, async () => {
        // With a home of its own the installer leaves the user's home and shell profile alone.
        const home = join(temporary, "home");
        await mkdir(home);
        await writeFile(join(home, "install.sh"), script);
        const env = { ...process.env, HOME: home };
        await runCommand("sh", ["install.sh", "--version", ENGINE_VERSION], { cwd: home, env, timeoutMs: 600_000 });
        await rename(join(home, ".pulumi/bin"), join(temporary, "bin"));
        await rm(home, { recursive: true });
      });
    });
    return join(directory, "bin/pulumi");
  } catch (error) {
    if (!isMeshError(error) || error.code !== "unavailable")
      progress(`Pulumi's installer failed: ${String(error).split("\n")[0]}`);
    return undefined;
  }
}

/**
 * Path of an engine that Go builds from the pinned module, with go.sum's hashes.
 * @throws {MeshError} `unavailable` when there is no Go that is new enough.
 */
export async function buildEngine(progress: Progress): Promise<string> {
  const directory = await cached(BUILT, async (temporary) => {
    const go = await findGo();
    await withProgress(
      progress,
      `building the Pulumi engine ${ENGINE_VERSION} from its Go module (once, about two minutes)`,
      () =>
        runCommand(
          go,
          [
            "build",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            `-s -w -X ${VERSION_VARIABLE}=v${ENGINE_VERSION}`,
            "-o",
            join(temporary, "pulumi"),
            PACKAGE,
          ],
          { cwd: MODULE, env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off" }, timeoutMs: 1_500_000 },
        ),
    );
  });
  return join(directory, "pulumi");
}

async function findGo(): Promise<string> {
  const go = await findOnPath("go");
  const version = go === undefined ? "" : await runCommand(go, ["env", "GOVERSION"], { timeoutMs: 30_000 });
  const minor = Number(/^go1\.(\d+)/.exec(version)?.[1] ?? 0);
  if (go !== undefined && minor >= GO_MINOR) return go;
  const state = go === undefined ? "there is no Go to build it with" : `${version.trim()} is too old to build it`;
  throw new MeshError(
    "unavailable",
    `Pulumi is not on PATH, ${INSTALLER_URL} cannot be reached and ${state}: install Pulumi, or Go 1.${GO_MINOR} or newer`,
  );
}
