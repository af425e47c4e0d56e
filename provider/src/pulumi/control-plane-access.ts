/** From a resource's datacenter to its control plane: the runtime that holds it and a client of its API. */
import type { OwnerSpec } from "@isthmus/sdk/spec";
import type { StatusResponse } from "../model/isthmus-api.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type ApiClient, findRuntime } from "./api-client.ts";
import type { HandlerContext } from "./context.ts";
import { until } from "./waiting.ts";

/** What every resource in a datacenter says of its place. */
export interface InDatacenter {
  readonly datacenter: string;
  readonly owner: OwnerSpec;
}

export interface ControlPlaneAccess {
  readonly runtime: Runtime;
  readonly api: ApiClient;
}

/**
 * Does something with the datacenter's control plane, once it is there.
 * @throws {MeshError} `unavailable` at the deadline.
 */
export async function withControlPlane<T>(
  place: InDatacenter,
  context: HandlerContext,
  use: (access: ControlPlaneAccess) => Promise<T>,
): Promise<T> {
  const runtime = await until(`control plane of datacenter "${place.datacenter}"`, context, () =>
    findRuntime(place.owner.mesh, place.datacenter, context.findRuntimes),
  );
  using api = context.openApi(runtime, place.owner.mesh, place.datacenter);
  return await use({ runtime, api });
}

/**
 * The same with the control plane that writes what the whole federation shares: the primary's, where it runs on this
 * machine, else the datacenter's own, which forwards.
 */
export async function withPrimary<T>(
  place: InDatacenter,
  context: HandlerContext,
  use: (access: ControlPlaneAccess) => Promise<T>,
): Promise<T> {
  return await withControlPlane(place, context, async (access) => {
    const status = await until(`status of datacenter "${place.datacenter}"`, context, () =>
      access.api.get<StatusResponse>("/v1/isthmus/status"),
    );
    const primary = status.PrimaryDatacenter;
    if (primary === place.datacenter) return await use(access);
    const runtime = await findRuntime(place.owner.mesh, primary, context.findRuntimes);
    if (!runtime) return await use(access);
    using api = context.openApi(runtime, place.owner.mesh, primary);
    return await use({ runtime, api });
  });
}

/**
 * For deletions: does it if there is a control plane, and does nothing if the runtimes show that there is none. One that
 * is there and does not answer is tried until the deadline.
 * @throws {MeshError} `unavailable` when it does not answer until then.
 */
export async function ifControlPlane(
  place: InDatacenter,
  context: HandlerContext,
  use: (access: ControlPlaneAccess) => Promise<void>,
): Promise<void> {
  await until(`deletion in datacenter "${place.datacenter}"`, context, async () => {
    const runtime = await findRuntime(place.owner.mesh, place.datacenter, context.findRuntimes);
    if (!runtime) return true;
    using api = context.openApi(runtime, place.owner.mesh, place.datacenter);
    try {
      await use({ runtime, api });
    } catch (error) {
      if (await isGone(place, context)) return true;
      throw error;
    }
    return true;
  });
}

/** {@link ifControlPlane} with the control plane that {@link withPrimary} would use. */
export async function ifPrimary(
  place: InDatacenter,
  context: HandlerContext,
  use: (access: ControlPlaneAccess) => Promise<void>,
): Promise<void> {
  await ifControlPlane(place, context, async ({ runtime, api }) => {
    const primary = (await api.get<StatusResponse>("/v1/isthmus/status")).PrimaryDatacenter;
    if (primary === place.datacenter) return await use({ runtime, api });
    // A federation that has lost its primary is on its way out: what was shared went with it.
    await ifControlPlane({ ...place, datacenter: primary }, context, use);
  });
}

async function isGone(place: InDatacenter, context: HandlerContext): Promise<boolean> {
  return (await findRuntime(place.owner.mesh, place.datacenter, context.findRuntimes)) === undefined;
}
