/** Chooses and opens a runtime: the entrance for everybody else. */
import { MeshError } from "../model/errors.ts";
import { envoyBinary } from "../toolchain/envoy.ts";
import { nodeBinary } from "../toolchain/node.ts";
import type { Progress } from "../toolchain/progress.ts";
import { stateRoot } from "./local/folders.ts";
import { createLocalRuntime } from "./local/local-runtime.ts";
import { bundledControlPlane, type Programs } from "./programs.ts";
import type { Runtime } from "./runtime.ts";

const engineTimeoutMs = 1_000;

/**
 * A runtime with this package's programs. Opens no connection and starts nothing yet; what it fetches is told to `progress`.
 * @throws {MeshError} `unavailable` for the local runtime on anything but Linux; `invalid` for an unusable DOCKER_HOST.
 */
export async function openRuntime(kind: Runtime["kind"], progress: Progress = () => {}): Promise<Runtime> {
  const programs: Programs = {
    envoy: () => envoyBinary(progress),
    node: () => nodeBinary(progress),
    controlPlane: bundledControlPlane,
  };
  if (kind === "local") return createLocalRuntime(programs, stateRoot(process.env));
  const { createDockerRuntime } = await import("./docker/docker-runtime.ts");
  const { connectEngine } = await import("./docker/engine.ts");
  return createDockerRuntime(connectEngine(process.env), programs);
}

/** Whether a Docker engine answers. The Engine's client is loaded only when somebody asks: it takes a tenth of a second and more. */
async function dockerAnswers(): Promise<boolean> {
  const { connectEngine, engineAnswers } = await import("./docker/engine.ts");
  return await engineAnswers(connectEngine(process.env), engineTimeoutMs);
}

/**
 * Which runtime to use here: ISTHMUS_RUNTIME if set, else `docker` if an engine answers within a second, else `local`.
 * @throws {MeshError} `invalid` when ISTHMUS_RUNTIME is neither.
 */
export async function detectRuntime(): Promise<Runtime["kind"]> {
  const wanted = process.env["ISTHMUS_RUNTIME"];
  if (wanted === "docker" || wanted === "local") return wanted;
  if (wanted) throw new MeshError("invalid", `ISTHMUS_RUNTIME is "${wanted}": use "docker" or "local"`);
  return (await dockerAnswers()) ? "docker" : "local";
}

/**
 * The runtimes that are usable on this machine now, whatever ISTHMUS_RUNTIME says, one after the other: whoever finds what
 * it looks for in the first does not wait for the second.
 */
export async function* usableRuntimes(
  open: (kind: Runtime["kind"]) => Promise<Runtime> = openRuntime,
): AsyncGenerator<Runtime, void, undefined> {
  if (process.platform === "linux") yield await open("local");
  if (await dockerAnswers()) yield await open("docker");
}

/** All of {@link usableRuntimes}. */
export function findRuntimes(): Promise<readonly Runtime[]> {
  return Array.fromAsync(usableRuntimes());
}

/** Removes the images that the docker runtime made and nobody uses; nothing happens where no engine answers. */
export async function removeRuntimeImages(): Promise<void> {
  if (!(await dockerAnswers())) return;
  const { connectEngine } = await import("./docker/engine.ts");
  const { removeImages } = await import("./docker/images.ts");
  await removeImages(connectEngine(process.env));
}
