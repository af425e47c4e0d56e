/** Handlers of Datacenter: the unit with its control plane, and joining the primary. */
import { checkSpec, type DatacenterSpec, datacenterSchema, durationSeconds } from "@isthmus/sdk/spec";
import { digestOf } from "../../model/digest.ts";
import { isMeshError, MeshError } from "../../model/errors.ts";
import type { ControlPlaneConfig, JoinResponse, StatusResponse } from "../../model/isthmus-api.ts";
import type { Placement, ProcessSpec, Runtime, UnitState } from "../../runtime/runtime.ts";
import { type ApiClient, controlPlaneUnit, findRuntime, orUndefined } from "../api-client.ts";
import type { Handler, HandlerContext, Props } from "../context.ts";
import { ifControlPlane, withControlPlane } from "../control-plane-access.ts";
import { deleteReplicationToken, ensureReplicationToken } from "../own-token.ts";
import { changedInputs, diffInputs } from "../properties.ts";
import { restartProxies } from "../proxy-unit.ts";
import { connectServices } from "../service-network.ts";
import { allRunning, inspectUnit, recorded, removeUnit } from "../unit-lifecycle.ts";
import { until, within } from "../waiting.ts";
import { whileRunning } from "../watch-process.ts";

const specOf = (props: Props): DatacenterSpec => props as DatacenterSpec;
const idOf = (spec: DatacenterSpec): string => `${spec.owner.mesh}/${spec.name}`;
const unitOf = (spec: DatacenterSpec) => controlPlaneUnit(spec.owner.mesh, spec.name);
const primaryOf = (spec: DatacenterSpec) => ({ datacenter: spec.primaryDatacenter, owner: spec.owner });

const check: Handler["check"] = async (olds, news, context) => {
  const { inputs, failures } = checkSpec(datacenterSchema, news);
  if (failures.length > 0 || inputs["runtime"] !== "auto") return { inputs, failures };
  return { inputs: { ...inputs, runtime: await chooseRuntime(olds, inputs, context) }, failures };
};

/** Chosen once: what it has already, else the primary's, else what this machine offers. */
async function chooseRuntime(olds: Props, inputs: Props, context: HandlerContext): Promise<Runtime["kind"]> {
  const kept = olds["runtime"];
  if (kept === "docker" || kept === "local") return kept;
  const { name, primaryDatacenter, owner } = specOf(inputs);
  const primary =
    primaryDatacenter === name
      ? undefined
      : await within(context.diffMs, () => findRuntime(owner.mesh, primaryDatacenter, context.findRuntimes));
  return primary?.kind ?? (await context.detectRuntime());
}

/** Asks the primary how to join it. */
async function joinOf(spec: DatacenterSpec, context: HandlerContext): Promise<ControlPlaneConfig["join"]> {
  if (spec.primaryDatacenter === spec.name) return undefined;
  return await withControlPlane(primaryOf(spec), context, async ({ runtime, api }) => {
    if (runtime.kind !== spec.runtime) {
      throw new MeshError(
        "invalid",
        `datacenter "${spec.name}" would run in "${spec.runtime}", but its primary "${spec.primaryDatacenter}" runs in "${runtime.kind}"; set runtime: "${runtime.kind}"`,
      );
    }
    const join = await api.get<JoinResponse>("/v1/isthmus/join");
    const token = await ensureReplicationToken(api, spec.owner.mesh, spec.name);
    return { address: join.Address, controlRoot: join.ControlRoot, token: token?.secret ?? "" };
  });
}

function configOf(spec: DatacenterSpec, placement: Placement, join: ControlPlaneConfig["join"]): ControlPlaneConfig {
  const wan = placement.wan ?? placement.lan;
  return {
    mesh: spec.owner.mesh,
    datacenter: spec.name,
    primaryDatacenter: spec.primaryDatacenter,
    ...(join && { join }),
    bind: [...new Set([placement.lan, wan])],
    lanAddress: placement.lan,
    wanAddress: wan,
    ports: spec.ports,
    connect: spec.connect,
    enableCentralServiceConfig: spec.enableCentralServiceConfig,
    network: spec.network,
    acl: spec.acl,
    ca: {
      leafTtlSeconds: durationSeconds(spec.ca.leafTtl),
      intermediateTtlSeconds: durationSeconds(spec.ca.intermediateTtl),
      rootTtlSeconds: durationSeconds(spec.ca.rootTtl),
    },
  };
}

async function awaitReady(
  api: ApiClient,
  context: HandlerContext,
  name: string,
  said: { text: string; index: number },
) {
  const options = said.index === 0 ? {} : { index: said.index, waitMs: 1000 };
  const { value, index } = await api.read<StatusResponse>("/v1/isthmus/status", options);
  said.index = index;
  if (value.Ready) return value;
  const text = value.Waiting.join(", ");
  if (text !== said.text) context.log(`datacenter "${name}" waits for ${text}`);
  said.text = text;
  return undefined;
}

function processOf(placement: Placement, revision: string): ProcessSpec {
  return {
    name: "control-plane",
    program: { type: "control-plane" },
    args: ["--config", `${placement.directory}/config.json`],
    env: {},
    revision,
  };
}

/** Whatever the order in which the engine hands over the properties. */
function revisionOf(config: ControlPlaneConfig): string {
  return digestOf(config).digest;
}

/** Writes the configuration; returns its revision. */
async function configure(spec: DatacenterSpec, runtime: Runtime, placement: Placement, context: HandlerContext) {
  const config = configOf(spec, placement, await joinOf(spec, context));
  await runtime.putFiles(unitOf(spec), [{ path: "config.json", content: JSON.stringify(config, null, 2) }]);
  return revisionOf(config);
}

/** The former revision if the configuration in the unit is still right: then nobody else has to answer. */
async function standingRevision(
  spec: DatacenterSpec,
  olds: Props | undefined,
  runtime: Runtime,
): Promise<string | undefined> {
  if (!olds || changedInputs(olds, spec as unknown as Props, datacenterSchema).length > 0) return undefined;
  const state = await runtime.inspect(unitOf(spec));
  const started = state?.processes.some((one) => one.name === "control-plane");
  const revision = olds["revision"];
  return started && typeof revision === "string" ? revision : undefined;
}

async function reconcile(spec: DatacenterSpec, olds: Props | undefined, context: HandlerContext): Promise<Props> {
  const runtime = await context.openRuntime(spec.runtime as Runtime["kind"]);
  const unit = unitOf(spec);
  const standing = await standingRevision(spec, olds, runtime);
  const placement = await runtime.ensureUnit(unit, spec.owner, { wan: true });
  const revision = standing ?? (await configure(spec, runtime, placement, context));
  const started = await runtime.ensureProcess(unit, processOf(placement, revision));
  using api = context.openApi(runtime, spec.owner.mesh, spec.name);
  const said = { text: "", index: 0 };
  const status = await whileRunning(`datacenter "${spec.name}"`, { runtime, unit, started }, context, () =>
    awaitReady(api, context, spec.name, said),
  );
  return await outputsOf(spec, placement, status, api, revision);
}

async function outputsOf(
  spec: DatacenterSpec,
  placement: Placement,
  status: StatusResponse,
  api: ApiClient,
  revision: string,
): Promise<Props> {
  const join = await orUndefined(api.get<JoinResponse>("/v1/isthmus/join"));
  return {
    ...(spec as unknown as Props),
    trustDomain: status.TrustDomain,
    lanAddress: placement.lan,
    wanAddress: placement.wan ?? placement.lan,
    ...(join && { controlRoot: join.ControlRoot }),
    revision,
    running: true,
  };
}

/**
 * Outputs of a datacenter that runs and was started by this version with these inputs, which the digest of its process
 * tells; undefined when it is not there.
 * @throws {MeshError} `conflict` when it runs with others.
 */
export async function recogniseDatacenter(inputs: Props, context: HandlerContext): Promise<Props | undefined> {
  const spec = specOf(inputs);
  const found = await inspectUnit(unitOf(spec), inputs, context);
  if (!found) return undefined;
  const { placement } = found.state;
  const revision = revisionOf(configOf(spec, placement, await joinOf(spec, context)));
  if (await isOutdated(found, { revision })) {
    throw new MeshError(
      "conflict",
      `datacenter "${spec.name}" runs with other settings than the defaults, or was started by another version of Isthmus; its settings cannot be read back, so only a datacenter with the defaults can be imported`,
    );
  }
  using api = context.openApi(found.runtime, spec.owner.mesh, spec.name);
  return await outputsOf(spec, placement, await api.get<StatusResponse>("/v1/isthmus/status"), api, revision);
}

/** Whether the control plane that runs is another than would be started now: this version of Isthmus brings a new one. */
async function isOutdated(
  { runtime, state }: { readonly runtime: Runtime; readonly state: UnitState },
  olds: Props,
): Promise<boolean> {
  const running = state.processes.find((one) => one.name === "control-plane");
  const spec = processOf(state.placement, String(olds["revision"]));
  return running?.digest !== (await runtime.digest(state.placement, spec));
}

/** What runs in the datacenter already and has to follow a change of its settings. */
async function follow(olds: Props, spec: DatacenterSpec, context: HandlerContext): Promise<void> {
  const before = specOf(olds);
  const runtime = await context.openRuntime(spec.runtime as Runtime["kind"]);
  if (before.ports?.grpcTls !== spec.ports.grpcTls) {
    using api = context.openApi(runtime, spec.owner.mesh, spec.name);
    await restartProxies(runtime, api, spec.owner.mesh, spec.name, context);
  }
  if (before.network !== spec.network) await connectServices(spec.owner.mesh, spec.name, context);
}

/** Tidies up in the primary, which must not keep a secondary from going when it does not answer. */
async function inPrimary(
  spec: DatacenterSpec,
  context: HandlerContext,
  otherwise: string,
  tidy: (api: ApiClient) => Promise<void>,
): Promise<void> {
  try {
    await ifControlPlane(primaryOf(spec), context, ({ api }) => tidy(api));
  } catch (error) {
    if (!isMeshError(error) || error.code !== "unavailable") throw error;
    context.log(`datacenter "${spec.name}": ${otherwise} in "${spec.primaryDatacenter}": ${error.message}`);
  }
}

/** How long the primary may take to notice that a link is gone, in milliseconds. */
const linkGoneMs = 10_000;

async function forget(api: ApiClient, name: string, context: HandlerContext): Promise<void> {
  const limits = { ...context, deadlineMs: Math.min(context.deadlineMs, linkGoneMs) };
  await until(`datacenter "${name}" to be forgotten`, limits, async () => {
    try {
      await api.delete(`/v1/isthmus/datacenters/${encodeURIComponent(name)}`);
      return true;
    } catch (error) {
      if (isMeshError(error) && error.code === "conflict") return undefined;
      throw error;
    }
  });
}

/** Handlers of the Datacenter resource. */
export const datacenter: Handler = {
  check,
  diff: (_id, olds, news, context) => {
    const spec = specOf(news);
    const rules = {
      schema: datacenterSchema,
      identity: ["name", "primaryDatacenter", "runtime", "owner"],
      exclusive: olds["name"] === news["name"],
    };
    return diffInputs(olds, news, rules, async () => {
      if (olds["running"] === false) return true;
      return await within(context.diffMs, async () => {
        const found = await inspectUnit(unitOf(spec), olds, context);
        return !found || !allRunning(found.state, ["control-plane"]) || (await isOutdated(found, olds));
      });
    });
  },
  create: (inputs, context) =>
    recorded(idOf(specOf(inputs)), inputs, () => reconcile(specOf(inputs), undefined, context)),
  async read(_id, state, context) {
    const found = await inspectUnit(unitOf(specOf(state)), state, context);
    if (!found) return undefined;
    return { props: { ...state, running: allRunning(found.state, ["control-plane"]) } };
  },
  async update(_id, olds, news, context) {
    const outs = await reconcile(specOf(news), olds, context);
    await follow(olds, specOf(news), context);
    return outs;
  },
  async delete(_id, state, context) {
    const spec = specOf(state);
    const isSecondary = spec.primaryDatacenter !== spec.name;
    // Without its token it is not connected any more, also if it goes on for a while.
    if (isSecondary) {
      await inPrimary(spec, context, "its replication token stays", (api) =>
        deleteReplicationToken(api, spec.owner.mesh, spec.name),
      );
    }
    await removeUnit(unitOf(spec), spec.owner, state, context);
    if (isSecondary) await inPrimary(spec, context, "it stays known", (api) => forget(api, spec.name, context));
  },
};
