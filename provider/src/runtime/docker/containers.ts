/** How our containers are made: every one without root, capabilities, a writable root, published ports or a way to gain more. Pure. */
import type { ContainerCreateOptions, HostConfig } from "dockerode";
import { controlPlaneFlags } from "../programs.ts";
import type { Owner, Program, UnitId } from "../runtime.ts";
import { imagePath, unitDirectory, unitUserId } from "./images.ts";
import { type Labels, label, ownerLabels, unitLabels, unitResourceName } from "./labels.ts";

const mebibyte = 1024 * 1024;
/** Room for the engine's own start of an exec, which counts against the container. */
const holderMemoryBytes = 32 * mebibyte;
const stopSeconds = { "control-plane": 10, envoy: 5, command: 2, image: 2 } as const;
const memoryBytes = {
  "control-plane": 1024 * mebibyte,
  envoy: 1024 * mebibyte,
  command: 512 * mebibyte,
  image: 512 * mebibyte,
} as const;

/** What a process's container is made of. */
export interface ProcessContainer {
  readonly name: string;
  readonly image: string;
  readonly program: Program;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly holder: string;
  readonly labels: Labels;
}

/** The container that owns the unit's namespace, in its datacenter's network. */
export function holderOptions(id: UnitId, owner: Owner, image: string, network: string): ContainerCreateOptions {
  return {
    ...hardened(unitResourceName(id), image, [imagePath.holder]),
    Labels: { ...unitLabels(id), ...ownerLabels(owner), [label.part]: "holder" },
    StopTimeout: 1,
    HostConfig: {
      ...hostConfig(id, holderMemoryBytes),
      NetworkMode: network,
      RestartPolicy: { Name: "unless-stopped" },
    },
    NetworkingConfig: { EndpointsConfig: { [network]: {} } },
  };
}

/** A process's container, in its holder's namespace; started again after a crash unless it was stopped by hand. */
export function processOptions(id: UnitId, process: ProcessContainer): ContainerCreateOptions {
  const { program } = process;
  const brought = program.type === "command" || program.type === "image";
  return {
    ...hardened(process.name, process.image, commandOf(program)),
    ...(process.args.length > 0 ? { Cmd: [...process.args] } : {}),
    Env: environment(process.env),
    Labels: process.labels,
    StopTimeout: stopSeconds[program.type],
    HostConfig: {
      ...hostConfig(id, memoryBytes[program.type]),
      NetworkMode: `container:${process.holder}`,
      RestartPolicy: { Name: "unless-stopped" },
      ...(brought ? { Tmpfs: { "/tmp": "rw,nosuid,nodev,noexec,size=16m,mode=1777" } } : {}),
    },
  };
}

/** A container that runs the relay once and is gone when it ends. */
export function relayOptions(
  id: UnitId,
  image: string,
  holder: string,
  args: readonly string[],
): ContainerCreateOptions {
  return {
    ...hardened(undefined, image, [imagePath.node, imagePath.relay]),
    Cmd: [...args],
    Labels: { ...unitLabels(id), [label.part]: "relay" },
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: { ...hostConfig(id, 128 * mebibyte), NetworkMode: `container:${holder}`, AutoRemove: true },
  };
}

function commandOf(program: Program): string[] | undefined {
  switch (program.type) {
    case "envoy":
      return [imagePath.envoy];
    case "control-plane":
      return [imagePath.node, ...controlPlaneFlags, imagePath.controlPlane];
    case "command":
      return [program.command];
    case "image":
      return undefined;
    default:
      return program satisfies never;
  }
}

function hardened(name: string | undefined, image: string, entrypoint: string[] | undefined): ContainerCreateOptions {
  return {
    ...(name === undefined ? {} : { name }),
    Image: image,
    ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
    User: `${unitUserId}:${unitUserId}`,
    WorkingDir: unitDirectory,
  };
}

function hostConfig(id: UnitId, memory: number): HostConfig {
  return {
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges"],
    ReadonlyRootfs: true,
    PidsLimit: 256,
    Memory: memory,
    Mounts: [{ Type: "volume", Source: unitResourceName(id), Target: unitDirectory }],
    LogConfig: { Type: "json-file", Config: { "max-size": "4m", "max-file": "2" } },
  };
}

function environment(env: Readonly<Record<string, string>>): string[] {
  const all = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: unitDirectory, ...env };
  return Object.entries(all).map(([key, value]) => `${key}=${value}`);
}
