/** Handlers of ServiceRegistration: the unit, the registration, the sidecar and the program. */
import { type ServiceRegistrationSpec, serviceRegistrationSchema } from "@isthmus/sdk/spec";
import type { Placement, UnitId } from "../../runtime/runtime.ts";
import { orUndefined } from "../api-client.ts";
import type { Handler, HandlerContext, Props } from "../context.ts";
import { type ControlPlaneAccess, ifControlPlane, withControlPlane } from "../control-plane-access.ts";
import { deleteUnitToken, ensureUnitToken } from "../own-token.ts";
import { ensureProgram } from "../program-unit.ts";
import { checkBy, diffInputs } from "../properties.ts";
import { ensureProxy, isRenewalDue, type ProxyCertificate } from "../proxy-unit.ts";
import { proxyJson, serviceJson } from "../service-json.ts";
import { needsWan, readCentralConfig } from "../service-network.ts";
import { allRunning, inspectUnit, recorded, removeUnit } from "../unit-lifecycle.ts";
import { within } from "../waiting.ts";

const specOf = (props: Props): ServiceRegistrationSpec => props as ServiceRegistrationSpec;
const idOf = (spec: ServiceRegistrationSpec): string => `${spec.datacenter}/service/${spec.name}`;
const proxyIdOf = (spec: ServiceRegistrationSpec): string => `${spec.name}-sidecar-proxy`;

function unitOf(spec: ServiceRegistrationSpec): UnitId {
  return { mesh: spec.owner.mesh, datacenter: spec.datacenter, role: "service", name: spec.name };
}

/** The processes that its unit is there for; none when somebody else runs the service and it has no sidecar. */
function processesOf(spec: ServiceRegistrationSpec): readonly string[] {
  return [...(spec.run ? ["app"] : []), ...(spec.connect?.sidecarService ? ["proxy"] : [])];
}

function certificateOf(state: Props | undefined): ProxyCertificate | undefined {
  return state?.["certificate"] as ProxyCertificate | undefined;
}

/** Puts the unit into the networks that its modes ask for, in place. */
async function ensurePlacement(
  spec: ServiceRegistrationSpec,
  { runtime, api }: ControlPlaneAccess,
): Promise<Placement> {
  const unit = unitOf(spec);
  const before = (await runtime.inspect(unit))?.placement;
  const placement = before ?? (await runtime.ensureUnit(unit, spec.owner, { wan: false }));
  const proxy = proxyJson(spec, placement);
  const wan = proxy !== undefined && needsWan(spec.name, proxy, await readCentralConfig(api));
  return before || wan ? await runtime.ensureUnit(unit, spec.owner, { wan }) : placement;
}

async function reconcileUnit(
  spec: ServiceRegistrationSpec,
  olds: Props | undefined,
  access: ControlPlaneAccess,
  context: HandlerContext,
): Promise<Props> {
  const { runtime, api } = access;
  const unit = unitOf(spec);
  const placement = await ensurePlacement(spec, access);
  const token = spec.token ?? (await ensureUnitToken(api, unit))?.secret;
  await register(spec, placement, token, access);
  // The central configuration may have changed between the first look and the registration.
  const settled = await ensurePlacement(spec, access);
  if (settled.wan !== placement.wan) await register(spec, settled, token, access);
  const sidecar = spec.connect?.sidecarService;
  // A certificate lives as long as the token that it was issued for.
  const certificate = olds?.["token"] === spec.token ? certificateOf(olds) : undefined;
  const [proxy, program] = await Promise.allSettled([
    sidecar
      ? ensureProxy({ runtime, api, unit, placement: settled, proxyId: proxyIdOf(spec), token, certificate }, context)
      : runtime.removeProcess(unit, "proxy"),
    ensureProgram(spec, unit, runtime, settled, context),
  ]);
  if (program.status === "rejected") throw program.reason;
  if (proxy.status === "rejected") throw proxy.reason;
  return {
    lanAddress: settled.lan,
    ...(sidecar && { proxyId: proxyIdOf(spec), certificate: proxy.value }),
  };
}

async function register(
  spec: ServiceRegistrationSpec,
  placement: Placement | undefined,
  token: string | undefined,
  { api }: ControlPlaneAccess,
): Promise<void> {
  const path = "/v1/agent/service/register?replace-existing-checks=true";
  await api.put(path, serviceJson(spec, placement), token === undefined ? {} : { token });
}

async function reconcile(
  spec: ServiceRegistrationSpec,
  olds: Props | undefined,
  context: HandlerContext,
): Promise<Props> {
  return await withControlPlane(spec, context, async (access) => {
    let placed: Props = {};
    if (processesOf(spec).length > 0) placed = await reconcileUnit(spec, olds, access, context);
    else {
      const token = spec.token ?? (await ensureUnitToken(access.api, unitOf(spec)))?.secret;
      await register(spec, undefined, token, access);
      await removeUnit(unitOf(spec), spec.owner, { runtime: access.runtime.kind }, context);
    }
    return { ...(spec as unknown as Props), ...placed, runtime: access.runtime.kind, running: true };
  });
}

/** Handlers of the ServiceRegistration resource. */
export const serviceRegistration: Handler = {
  check: checkBy(serviceRegistrationSchema),
  diff: (_id, olds, news, context) => {
    const rules = { schema: serviceRegistrationSchema, identity: ["datacenter", "name", "owner"], exclusive: false };
    return diffInputs(olds, news, rules, async () => {
      const spec = specOf(news);
      const needed = processesOf(spec);
      if (olds["running"] === false) return true;
      if (needed.includes("proxy") && isRenewalDue(certificateOf(olds), context.now())) return true;
      if (needed.length === 0) return false;
      return await within(context.diffMs, async () => {
        const found = await inspectUnit(unitOf(spec), olds, context);
        return !found || !allRunning(found.state, needed);
      });
    });
  },
  create: (inputs, context) =>
    recorded(idOf(specOf(inputs)), inputs, () => reconcile(specOf(inputs), undefined, context)),
  async read(_id, state, context) {
    const spec = specOf(state);
    const needed = processesOf(spec);
    if (needed.length === 0) return { props: state };
    const found = await inspectUnit(unitOf(spec), state, context);
    if (!found) return undefined;
    return { props: { ...state, running: allRunning(found.state, needed) } };
  },
  update: (_id, olds, news, context) => reconcile(specOf(news), olds, context),
  async delete(_id, state, context) {
    const spec = specOf(state);
    await ifControlPlane(spec, context, async ({ api }) => {
      await orUndefined(api.put(`/v1/agent/service/deregister/${spec.name}`));
      await deleteUnitToken(api, unitOf(spec));
    });
    await removeUnit(unitOf(spec), spec.owner, state, context);
  },
};
