/** Handlers of MeshGateway: the unit, its registration and its Envoy. */
import { type MeshGatewaySpec, meshGatewaySpecSchema } from "@isthmus/sdk/spec";
import type { Placement, UnitId } from "../../runtime/runtime.ts";
import { orUndefined } from "../api-client.ts";
import type { Handler, HandlerContext, Props } from "../context.ts";
import { ifControlPlane, withControlPlane } from "../control-plane-access.ts";
import { deleteUnitToken, ensureUnitToken } from "../own-token.ts";
import { checkBy, diffInputs } from "../properties.ts";
import { ensureProxy, isRenewalDue, type ProxyCertificate } from "../proxy-unit.ts";
import { allRunning, inspectUnit, recorded, removeUnit } from "../unit-lifecycle.ts";
import { within } from "../waiting.ts";

const specOf = (props: Props): MeshGatewaySpec => props as MeshGatewaySpec;
const idOf = (spec: MeshGatewaySpec): string => `${spec.datacenter}/mesh-gateway/${spec.name}`;

function unitOf(spec: MeshGatewaySpec): UnitId {
  return { mesh: spec.owner.mesh, datacenter: spec.datacenter, role: "mesh-gateway", name: spec.name };
}

/** The gateway in Consul's registration format. */
export function gatewayRegistration(spec: MeshGatewaySpec, placement: Placement): Props {
  const wan = spec.wanAddress ?? placement.wan ?? placement.lan;
  // Other datacenters come in through the WAN interface, which is another one than the datacenter's.
  const binds =
    placement.wan === undefined || placement.wan === placement.lan
      ? {}
      : { envoy_gateway_bind_addresses: { wan: { address: placement.wan, port: spec.port } } };
  return {
    Kind: "mesh-gateway",
    ID: spec.name,
    Name: spec.name,
    Address: placement.lan,
    Port: spec.port,
    Meta: spec.meta,
    TaggedAddresses: {
      lan: { Address: placement.lan, Port: spec.port },
      wan: { Address: wan, Port: spec.port },
    },
    Proxy: { Config: { ...binds, ...spec.config } },
  };
}

async function reconcile(spec: MeshGatewaySpec, olds: Props | undefined, context: HandlerContext): Promise<Props> {
  return await withControlPlane(spec, context, async ({ runtime, api }) => {
    const unit = unitOf(spec);
    const placement = await runtime.ensureUnit(unit, spec.owner, { wan: true });
    const token = spec.token ?? (await ensureUnitToken(api, unit))?.secret;
    const registration = gatewayRegistration(spec, placement);
    await api.put(
      "/v1/agent/service/register?replace-existing-checks=true",
      registration,
      token === undefined ? {} : { token },
    );
    // A certificate lives as long as the token that it was issued for.
    const standing = olds?.["token"] === spec.token ? certificateOf(olds) : undefined;
    const certificate = await ensureProxy(
      { runtime, api, unit, placement, proxyId: spec.name, token, certificate: standing },
      context,
    );
    return {
      ...(spec as unknown as Props),
      lanAddress: placement.lan,
      remoteAddress: spec.wanAddress ?? placement.wan ?? placement.lan,
      runtime: runtime.kind,
      certificate,
      running: true,
    };
  });
}

function certificateOf(state: Props | undefined): ProxyCertificate | undefined {
  return state?.["certificate"] as ProxyCertificate | undefined;
}

/** Handlers of the MeshGateway resource. */
export const meshGateway: Handler = {
  check: checkBy(meshGatewaySpecSchema),
  diff: (_id, olds, news, context) => {
    const rules = { schema: meshGatewaySpecSchema, identity: ["datacenter", "name", "owner"], exclusive: false };
    return diffInputs(olds, news, rules, async () => {
      if (olds["running"] === false || isRenewalDue(certificateOf(olds), context.now())) return true;
      return await within(context.diffMs, async () => {
        const found = await inspectUnit(unitOf(specOf(news)), olds, context);
        return !found || !allRunning(found.state, ["proxy"]);
      });
    });
  },
  create: (inputs, context) =>
    recorded(idOf(specOf(inputs)), inputs, () => reconcile(specOf(inputs), undefined, context)),
  async read(_id, state, context) {
    const found = await inspectUnit(unitOf(specOf(state)), state, context);
    if (!found) return undefined;
    return { props: { ...state, running: allRunning(found.state, ["proxy"]) } };
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
