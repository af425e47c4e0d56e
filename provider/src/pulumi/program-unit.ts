/** The program behind a service: its files, its process, and where it listens. */
import { createHash } from "node:crypto";
import type { ServiceRegistrationSpec } from "@isthmus/sdk/spec";
import { MeshError } from "../model/errors.ts";
import type { Placement, ProcessSpec, Runtime, UnitId } from "../runtime/runtime.ts";
import type { HandlerContext } from "./context.ts";
import { programEnv } from "./service-json.ts";
import { whileRunning } from "./watch-process.ts";

/** True when only the unit itself can dial the address. */
export function isPrivate(address: string, placement: Placement): boolean {
  if (address === placement.local) return true;
  // In a namespace of its own every loopback address is the unit's; without one only the address it was given is.
  return placement.local === "127.0.0.1" && (address === "::1" || /^(::ffff:)?127\./.test(address));
}

/** The process of a service's program; undefined when we do not run it. */
export function programSpec(spec: ServiceRegistrationSpec, placement: Placement): ProcessSpec | undefined {
  const { run } = spec;
  if (!run) return undefined;
  const files = { ...run.files, ...run.secretFiles };
  const program: ProcessSpec["program"] =
    run.image === undefined ? { type: "command", command: run.command! } : { type: "image", image: run.image };
  return {
    name: "app",
    program,
    args: run.args.map((arg) => (Object.hasOwn(files, arg) ? `${placement.directory}/app/${arg}` : arg)),
    env: programEnv(spec, placement),
    revision: createHash("sha256")
      .update(JSON.stringify(Object.entries(files).sort()))
      .digest("hex")
      .slice(0, 16),
  };
}

/**
 * Runs the service's program, or removes it, and waits until it listens on the service's port.
 * @throws {MeshError} `invalid` when it can be dialled past its sidecar and `allowDirect` is not set.
 */
export async function ensureProgram(
  spec: ServiceRegistrationSpec,
  unit: UnitId,
  runtime: Runtime,
  placement: Placement,
  context: HandlerContext,
): Promise<void> {
  const process = programSpec(spec, placement);
  if (!process) {
    await runtime.removeProcess(unit, "app");
    return;
  }
  const files = Object.entries({ ...spec.run?.files, ...spec.run?.secretFiles });
  if (files.length > 0)
    await runtime.putFiles(
      unit,
      files.map(([path, content]) => ({ path: `app/${path}`, content })),
    );
  const started = await runtime.ensureProcess(unit, process);
  const what = `service "${spec.name}" to listen on port ${spec.port}`;
  const listening = await whileRunning(what, { runtime, unit, started }, context, async () => {
    const found = (await runtime.listeners(unit)).filter((one) => one.port === spec.port);
    return found.length > 0 ? found : undefined;
  });
  const open = listening.filter((one) => !isPrivate(one.address, placement));
  // Without a sidecar there is nothing to go past.
  if (open.length === 0 || spec.allowDirect || !spec.connect?.sidecarService) return;
  throw new MeshError(
    "invalid",
    `service "${spec.name}" listens on ${open.map((one) => `${one.address}:${one.port}`).join(", ")}, where it can be dialled past its sidecar and its intentions; let it listen on the address in ISTHMUS_SERVICE_ADDRESS (${placement.local}), or set allowDirect: true`,
  );
}
