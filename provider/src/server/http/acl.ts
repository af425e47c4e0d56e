/** `/v1/acl/*`: bootstrap, policies and tokens. The primary writes them, but for local tokens. */
import { z } from "zod";
import { indexes } from "../../catalog/json.ts";
import { MeshError } from "../../model/errors.ts";
import type { Stored } from "../../store/store.ts";
import { blockingRead, storeSource } from "./blocking.ts";
import { type Call, json, param, type Reply, type Route } from "./call.ts";
import type { ApiDependencies, PolicyWrite, TokenWrite } from "./dependencies.ts";
import { apiObject, datacenterName, serviceName, text } from "./fields.ts";
import { parseAs } from "./json-body.ts";
import { demandAclRead, demandAclWrite } from "./permissions.ts";

const readOnly = [
  "Hash",
  "CreateIndex",
  "ModifyIndex",
  "CreateTime",
  "CreatedAt",
  "AuthMethod",
  "ExpandedPolicies",
  "ResolvedByAgent",
];
const uuid = z.union([z.literal(""), z.guid()], { error: "must be a uuid" });
const datacenters = z.array(datacenterName).max(256, "has more than 256 entries");

const policy = apiObject(
  {
    ID: uuid.exactOptional(),
    Name: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, "must be 1 to 128 of A-Z, a-z, 0-9, - and _"),
    Description: text.default(""),
    Rules: z
      .string()
      .max(256 * 1024, "is longer than 256 KiB")
      .default(""),
    Datacenters: datacenters.exactOptional(),
  },
  { ignored: readOnly },
);

const token = apiObject(
  {
    AccessorID: uuid.exactOptional(),
    SecretID: uuid.exactOptional(),
    Description: text.default(""),
    Policies: z
      .array(apiObject({ ID: uuid.exactOptional(), Name: z.string().max(128).exactOptional() }))
      .max(256, "has more than 256 entries")
      .default([]),
    ServiceIdentities: z
      .array(apiObject({ ServiceName: serviceName, Datacenters: datacenters.exactOptional() }))
      .max(256, "has more than 256 entries")
      .default([]),
    NodeIdentities: z
      .array(
        apiObject({
          NodeName: z.string().regex(/^[a-z0-9]([a-z0-9_-]{0,126}[a-z0-9])?$/, "must be a node's name in lower case"),
          Datacenter: datacenterName,
        }),
      )
      .max(256, "has more than 256 entries")
      .default([]),
    Local: z.boolean().default(false),
  },
  {
    ignored: readOnly,
    unsupported: [
      "Roles",
      "TemplatedPolicies",
      "ExpirationTTL",
      "ExpirationTime",
      "Rules",
      "Legacy",
      "AuthMethodNamespace",
    ],
  },
);

const hidden = "<hidden>";
const always = (): boolean => true;

export function aclRoutes(deps: ApiDependencies): readonly Route[] {
  const { store } = deps;
  const { operations } = deps.acl;
  const policySource = storeSource(store, [{ kind: "acl-policy" }]);
  const tokenSource = storeSource(store, [{ kind: "acl-token" }]);

  const bootstrap = async (): Promise<Reply> => {
    const made = await operations.bootstrap();
    return json({ ID: made.value.SecretID, ...tokenJson(made, true) }, made.modifyIndex);
  };

  const findPolicy = (found: Stored<"acl-policy"> | undefined): Stored<"acl-policy"> => {
    if (!found) throw new MeshError("not_found", "ACL policy not found");
    return found;
  };
  const policyReply = (call: Call, find: () => Stored<"acl-policy"> | undefined): Promise<Reply> =>
    blockingRead(call, policySource, (authorizer) => {
      demandAclRead(authorizer);
      return json(policyJson(findPolicy(find())));
    });
  const getPolicy = (call: Call): Promise<Reply> => policyReply(call, () => store.get("acl-policy", param(call, "id")));
  const getPolicyByName = (call: Call): Promise<Reply> =>
    policyReply(call, () => store.list("acl-policy").find((one) => one.value.Name === param(call, "name")));
  const listPolicies = (call: Call): Promise<Reply> =>
    blockingRead(call, policySource, (authorizer) => {
      demandAclRead(authorizer);
      return json(store.list("acl-policy").map((one) => ({ ...policyJson(one), Rules: undefined })));
    });
  const createPolicy = async (call: Call): Promise<Reply> => {
    demandAclWrite(call.authorizer());
    const made = await operations.createPolicy(policyWrite(parseAs(policy, await call.json())));
    return json(policyJson(made), made.modifyIndex);
  };
  const updatePolicy = async (call: Call): Promise<Reply> => {
    demandAclWrite(call.authorizer());
    const id = param(call, "id");
    const body = parseAs(policy, await call.json());
    if (body.ID && body.ID !== id) throw new MeshError("invalid", "ID: must be that of the path, or absent");
    const changed = await operations.updatePolicy(id, { ...policyWrite(body), ID: id });
    return json(policyJson(changed), changed.modifyIndex);
  };
  const deletePolicy = async (call: Call): Promise<Reply> => {
    demandAclWrite(call.authorizer());
    await operations.deletePolicy(param(call, "id"));
    return json(true, store.lastIndex("acl-policy"));
  };

  const findToken = (accessor: string): Stored<"acl-token"> => {
    const found = store.get("acl-token", accessor);
    if (!found) throw new MeshError("not_found", "ACL token not found");
    return found;
  };
  const getToken = (call: Call): Promise<Reply> =>
    blockingRead(call, tokenSource, (authorizer) => {
      demandAclRead(authorizer);
      return json(tokenJson(findToken(param(call, "accessor")), authorizer.aclWrite()));
    });
  const self = (call: Call): Promise<Reply> =>
    blockingRead(call, tokenSource, (authorizer) => json(tokenJson(findToken(authorizer.accessor), true)));
  const listTokens = (call: Call): Promise<Reply> =>
    blockingRead(call, tokenSource, (authorizer) => {
      demandAclRead(authorizer);
      const policyId = call.query.get("policy");
      const shown = store
        .list("acl-token")
        .filter((one) => !policyId || one.value.Policies.some((link) => link.ID === policyId));
      return json(shown.map((one) => tokenJson(one, authorizer.aclWrite())));
    });
  const createToken = async (call: Call): Promise<Reply> => {
    demandAclWrite(call.authorizer());
    const made = await operations.createToken(tokenWrite(parseAs(token, await call.json())));
    return json(tokenJson(made, true), made.modifyIndex);
  };
  const updateToken = async (call: Call): Promise<Reply> => {
    demandAclWrite(call.authorizer());
    const accessor = param(call, "accessor");
    const body = parseAs(token, await call.json());
    if (body.AccessorID && body.AccessorID !== accessor)
      throw new MeshError("invalid", "AccessorID: must be that of the path, or absent");
    const changed = await operations.updateToken(accessor, { ...tokenWrite(body), AccessorID: accessor });
    return json(tokenJson(changed, true), changed.modifyIndex);
  };
  const deleteToken = async (call: Call): Promise<Reply> => {
    demandAclWrite(call.authorizer());
    await operations.deleteToken(param(call, "accessor"));
    return json(true, store.lastIndex("acl-token"));
  };

  const wantsGlobal = async (call: Call): Promise<boolean> => !parseAs(token, await call.json()).Local;
  const isGlobal = (call: Call): boolean => !store.get("acl-token", param(call, "accessor"))?.value.Local;

  const replication = (): Reply => {
    const link = deps.status.response().Replication;
    return json({
      Enabled: link !== undefined,
      Running: link?.Connected ?? false,
      SourceDatacenter: link?.SourceDatacenter ?? "",
      ReplicationType: link ? "tokens" : "",
      ReplicatedIndex: link?.ReplicatedIndex ?? 0,
      ReplicatedTokenIndex: link?.ReplicatedIndex ?? 0,
      LastSuccess: link?.LastSuccess || "0001-01-01T00:00:00Z",
      LastError: "0001-01-01T00:00:00Z",
      LastErrorMessage: link?.LastError ?? "",
    });
  };

  const routes: readonly Route[] = [
    { method: "PUT", path: "/v1/acl/bootstrap", toPrimary: always, handle: bootstrap },
    { method: "GET", path: "/v1/acl/replication", handle: replication },
    { method: "PUT", path: "/v1/acl/policy", toPrimary: always, handle: createPolicy },
    { method: "GET", path: "/v1/acl/policies", handle: listPolicies },
    { method: "GET", path: "/v1/acl/policy/name/:name", handle: getPolicyByName },
    { method: "GET", path: "/v1/acl/policy/:id", handle: getPolicy },
    { method: "PUT", path: "/v1/acl/policy/:id", toPrimary: always, handle: updatePolicy },
    { method: "DELETE", path: "/v1/acl/policy/:id", toPrimary: always, handle: deletePolicy },
    { method: "PUT", path: "/v1/acl/token", toPrimary: wantsGlobal, handle: createToken },
    { method: "GET", path: "/v1/acl/tokens", handle: listTokens },
    { method: "GET", path: "/v1/acl/token/self", handle: self },
    { method: "GET", path: "/v1/acl/token/:accessor", handle: getToken },
    { method: "PUT", path: "/v1/acl/token/:accessor", toPrimary: isGlobal, handle: updateToken },
    { method: "DELETE", path: "/v1/acl/token/:accessor", toPrimary: isGlobal, handle: deleteToken },
  ];
  if (deps.acl.enabled) return routes;
  const off: Reply = { status: 401, text: "ACL support disabled: set acl.enabled in the datacenter's configuration" };
  return routes.map(({ method, path }) => ({ method, path, handle: () => off }));
}

function policyWrite({ ID, ...rest }: z.infer<typeof policy>): PolicyWrite {
  return ID ? { ...rest, ID } : rest;
}

function tokenWrite({ AccessorID, SecretID, ...rest }: z.infer<typeof token>): TokenWrite {
  for (const [at, link] of rest.Policies.entries()) {
    if (!link.ID && !link.Name) throw new MeshError("invalid", `Policies[${at}]: name a policy by its ID or its Name`);
  }
  return { ...rest, ...(AccessorID ? { AccessorID } : {}), ...(SecretID ? { SecretID } : {}) };
}

function policyJson(record: Stored<"acl-policy">) {
  return { ...record.value, ...indexes(record) };
}

function tokenJson(record: Stored<"acl-token">, withSecret: boolean) {
  return { ...record.value, ...(withSecret ? {} : { SecretID: hidden }), ...indexes(record) };
}
