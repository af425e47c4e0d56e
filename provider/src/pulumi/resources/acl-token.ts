/** Handlers of AclToken. Its accessor follows from its owner, so that a creation that was cut short is found again. */
import { type AclTokenSpec, aclTokenSchema } from "@isthmus/sdk/spec";
import type { AclTokenRecord } from "../../model/records.ts";
import { type ApiClient, orUndefined } from "../api-client.ts";
import type { Handler, HandlerContext, Props } from "../context.ts";
import { ifControlPlane, ifPrimary, withControlPlane, withPrimary } from "../control-plane-access.ts";
import { accessorFor } from "../own-token.ts";
import { checkBy, diffInputs } from "../properties.ts";
import { recorded } from "../unit-lifecycle.ts";
import { within } from "../waiting.ts";

const specOf = (props: Props): AclTokenSpec => props as AclTokenSpec;

/** Accessor of the token that this resource makes. */
export function accessorOf({ owner }: AclTokenSpec): string {
  return accessorFor(owner.mesh, owner.project, owner.stack, "acl-token", owner.resource);
}

/** Only its own datacenter knows a local token; any other is the primary's. */
function at<T>(spec: AclTokenSpec, context: HandlerContext, use: (api: ApiClient) => Promise<T>): Promise<T> {
  const go = spec.local ? withControlPlane : withPrimary;
  return go(spec, context, ({ api }) => use(api));
}

function find(api: ApiClient, spec: AclTokenSpec): Promise<AclTokenRecord | undefined> {
  return orUndefined(api.get<AclTokenRecord>(`/v1/acl/token/${accessorOf(spec)}`));
}

function tokenJson(spec: AclTokenSpec): Props {
  return {
    AccessorID: accessorOf(spec),
    Description: spec.description,
    Policies: spec.policies.map((name) => ({ Name: name })),
    ServiceIdentities: spec.serviceIdentities.map(({ serviceName, datacenters }) => ({
      ServiceName: serviceName,
      ...(datacenters && { Datacenters: datacenters }),
    })),
    NodeIdentities: spec.nodeIdentities.map(({ nodeName, datacenter }) => ({
      NodeName: nodeName,
      Datacenter: datacenter,
    })),
    Local: spec.local,
  };
}

async function reconcile(spec: AclTokenSpec, context: HandlerContext): Promise<Props> {
  const token = await at(spec, context, async (api) => {
    const existing = await find(api, spec);
    const path = existing ? `/v1/acl/token/${existing.AccessorID}` : "/v1/acl/token";
    return await api.put<AclTokenRecord>(path, tokenJson(spec));
  });
  return { ...(spec as unknown as Props), accessorId: token.AccessorID, secretId: token.SecretID };
}

/** Handlers of the AclToken resource. */
export const aclToken: Handler = {
  check: checkBy(aclTokenSchema),
  diff: (_id, olds, news, context) => {
    const identity = ["owner", "local", ...(news["local"] === true ? ["datacenter"] : [])];
    return diffInputs(olds, news, { schema: aclTokenSchema, identity, exclusive: false }, () =>
      within(context.diffMs, async () => {
        const quick = { ...context, deadlineMs: context.diffMs };
        return (await at(specOf(news), quick, (api) => find(api, specOf(news)))) === undefined;
      }),
    );
  },
  create: (inputs, context) => recorded(accessorOf(specOf(inputs)), inputs, () => reconcile(specOf(inputs), context)),
  async read(_id, state, context) {
    const token = await at(specOf(state), context, (api) => find(api, specOf(state)));
    return token && { props: { ...state, description: token.Description, secretId: token.SecretID } };
  },
  update: (_id, _olds, news, context) => reconcile(specOf(news), context),
  async delete(id, state, context) {
    const go = specOf(state).local ? ifControlPlane : ifPrimary;
    await go(specOf(state), context, async ({ api }) => {
      await orUndefined(api.delete(`/v1/acl/token/${id}`));
    });
  },
};
