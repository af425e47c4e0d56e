/** `/v1/acl/*`: bootstrap, policies and tokens. The primary writes them, but for local tokens. */
import { listPolicies, readPolicy, readPolicyByName } from "../../acl/policies.ts";
import { listTokens, readToken } from "../../acl/tokens-admin.ts";
import { MeshError } from "../../model/errors.ts";
import type { Stored } from "../../store/store.ts";
import { blockingRead, type IndexSource, storeSource } from "./blocking.ts";
import { type Call, json, param, type Reply, type Route } from "./call.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { demandAclRead, demandAclWrite } from "./permissions.ts";

const always = (): boolean => true;

export function aclRoutes(deps: ApiDependencies): readonly Route[] {
  const { store } = deps;
  const { operations } = deps.acl;
  const policies = storeSource(store, [{ kind: "acl-policy" }]);
  // A token is shown with the names that its policies have now.
  const tokens = storeSource(store, [{ kind: "acl-token" }, { kind: "acl-policy" }]);

  /** Reads that need acl:read; secrets need acl:write. */
  const read = (source: IndexSource, view: (call: Call, withSecret: boolean) => unknown) => (call: Call) =>
    blockingRead(call, source, (authorizer) => {
      demandAclRead(authorizer);
      return json(view(call, authorizer.aclWrite()));
    });
  const allTokens = (call: Call, withSecret: boolean): unknown => {
    const policyId = call.query.get("policy");
    const serviceName = call.query.get("servicename");
    const filter = { ...(policyId ? { policyId } : {}), ...(serviceName ? { serviceName } : {}) };
    return listTokens(store, { withSecret }, filter);
  };
  const policy = (call: Call): unknown => found(readPolicy(store, param(call, "id")), "policy");
  const policyByName = (call: Call): unknown => found(readPolicyByName(store, param(call, "name")), "policy");
  const token = (call: Call, withSecret: boolean): unknown =>
    found(readToken(store, param(call, "accessor"), { withSecret }), "token");
  const self = (call: Call): Promise<Reply> =>
    blockingRead(call, tokens, ({ accessor }) =>
      json(found(readToken(store, accessor, { withSecret: true }), "token")),
    );

  // Whoever is first would own the mesh, and the provider needs no such token: it is not for everyone who reaches the port.
  const bootstrap = async (call: Call): Promise<Reply> => {
    if (!call.authorizer().aclWrite()) {
      throw new MeshError(
        "permission_denied",
        "Permission denied: ACL bootstrap is the operator's, by the control plane's own socket or with a token that has acl:write",
      );
    }
    const { key, value, modifyIndex } = await operations.bootstrap(await call.json());
    return json({ ID: value.SecretID, ...readToken(store, key, { withSecret: true }) }, modifyIndex);
  };
  const writePolicy = (write: (call: Call, body: unknown) => Promise<Stored<"acl-policy">>) => async (call: Call) => {
    demandAclWrite(call.authorizer());
    const { key, modifyIndex } = await write(call, await bodyOf(call));
    return json(found(readPolicy(store, key), "policy"), modifyIndex);
  };
  const writeToken = (write: (call: Call, body: unknown) => Promise<Stored<"acl-token">>) => async (call: Call) => {
    demandAclWrite(call.authorizer());
    const { key, modifyIndex } = await write(call, await bodyOf(call));
    return json(found(readToken(store, key, { withSecret: true }), "token"), modifyIndex);
  };
  const deletePolicy = async (call: Call): Promise<Reply> => {
    demandAclWrite(call.authorizer());
    await operations.deletePolicy(param(call, "id"));
    return json(true, store.lastIndex("acl-policy"));
  };
  const deleteToken = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    demandAclWrite(authorizer);
    await operations.deleteToken(param(call, "accessor"), authorizer.accessor);
    return json(true, store.lastIndex("acl-token"));
  };
  const createPolicy = writePolicy((_call, body) => operations.createPolicy(body));
  const updatePolicy = writePolicy((call, body) => operations.updatePolicy(param(call, "id"), body));
  const createToken = writeToken((_call, body) => operations.createToken(body));
  const updateToken = writeToken((call, body) => operations.updateToken(param(call, "accessor"), body));

  const wantsGlobal = async (call: Call): Promise<boolean> =>
    ((await bodyOf(call)) as { readonly Local?: unknown } | null)?.Local !== true;
  const isGlobal = (call: Call): boolean => !store.get("acl-token", param(call, "accessor"))?.value.Local;

  const replication = (): Reply => {
    const link = deps.status.response().Replication;
    const never = "0001-01-01T00:00:00Z";
    return json({
      Enabled: link !== undefined,
      Running: link?.Connected ?? false,
      SourceDatacenter: link?.SourceDatacenter ?? "",
      ReplicationType: link ? "tokens" : "",
      ReplicatedIndex: link?.ReplicatedIndex ?? 0,
      ReplicatedTokenIndex: link?.ReplicatedIndex ?? 0,
      LastSuccess: link?.LastSuccess || never,
      LastError: never,
      LastErrorMessage: link?.LastError ?? "",
    });
  };

  const routes: readonly Route[] = [
    { method: "PUT", path: "/v1/acl/bootstrap", toPrimary: always, handle: bootstrap },
    { method: "GET", path: "/v1/acl/replication", handle: replication },
    { method: "PUT", path: "/v1/acl/policy", toPrimary: always, handle: createPolicy },
    { method: "GET", path: "/v1/acl/policies", handle: read(policies, () => listPolicies(store)) },
    { method: "GET", path: "/v1/acl/policy/name/:name", handle: read(policies, policyByName) },
    { method: "GET", path: "/v1/acl/policy/:id", handle: read(policies, policy) },
    { method: "PUT", path: "/v1/acl/policy/:id", toPrimary: always, handle: updatePolicy },
    { method: "DELETE", path: "/v1/acl/policy/:id", toPrimary: always, handle: deletePolicy },
    { method: "PUT", path: "/v1/acl/token", toPrimary: wantsGlobal, handle: createToken },
    { method: "GET", path: "/v1/acl/tokens", handle: read(tokens, allTokens) },
    { method: "GET", path: "/v1/acl/token/self", handle: self },
    { method: "GET", path: "/v1/acl/token/:accessor", handle: read(tokens, token) },
    { method: "PUT", path: "/v1/acl/token/:accessor", toPrimary: isGlobal, handle: updateToken },
    { method: "DELETE", path: "/v1/acl/token/:accessor", toPrimary: isGlobal, handle: deleteToken },
  ];
  if (deps.acl.enabled) return routes;
  const off: Reply = { status: 401, text: "ACL support disabled: set acl.enabled in the datacenter's configuration" };
  return routes.map(({ method, path }) => ({ method, path, handle: () => off }));
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new MeshError("not_found", `ACL ${what} not found`);
  return value;
}

async function bodyOf(call: Call): Promise<unknown> {
  const value = await call.json();
  if (value !== undefined) return value;
  throw new MeshError("invalid", "Request decode failed: the body is empty; send a JSON object");
}
