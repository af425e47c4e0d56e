/** Chooses and opens a runtime: the entrance for everybody else. */
import { MeshError } from "../model/errors.ts";
import { envoyBinary } from "../toolchain/envoy.ts";
import { nodeBinary } from "../toolchain/node.ts";
import type { Progress } from "../toolchain/progress.ts";
import { createDockerRuntime } from "./docker/docker-runtime.ts";
import { connectEngine, engineAnswers } from "./docker/engine.ts";
import { removeImages } from "./docker/images.ts";
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
  return kind === "docker"
    ? createDockerRuntime(connectEngine(process.env), programs)
    : createLocalRuntime(programs, stateRoot(process.env));
}

/**
 * Which runtime to use here: ISTHMUS_RUNTIME if set, else `docker` if an engine answers within a second, else `local`.
 * @throws {MeshError} `invalid` when ISTHMUS_RUNTIME is neither.
 */
export async function detectRuntime(): Promise<Runtime["kind"]> {
  const wanted = process.env["ISTHMUS_RUNTIME"];
  if (wanted === "docker" || wanted === "local") return wanted;
  if (wanted) throw new MeshError("invalid", `ISTHMUS_RUNTIME is "${wanted}": use "docker" or "local"`);
  return (await engineAnswers(connectEngine(process.env), engineTimeoutMs)) ? "docker" : "local";
}

/** The runtimes that are usable on this machine now, whatever ISTHMUS_RUNTIME says. */
export async function findRuntimes(): Promise<readonly Runtime[]> {
  const docker = await engineAnswers(connectEngine(process.env), engineTimeoutMs);
  const kinds: Runtime["kind"][] = [
    ...(docker ? (["docker"] as const) : []),
    ...(process.platform === "linux" ? (["local"] as const) : []),
  ];
  return await Promise.all(kinds.map((kind) => openRuntime(kind)));
}

/** Removes the images that the docker runtime made and nobody uses; nothing happens where no engine answers. */
export async function removeRuntimeImages(): Promise<void> {
  const engine = connectEngine(process.env);
  if (await engineAnswers(engine, engineTimeoutMs)) await removeImages(engine);
}
