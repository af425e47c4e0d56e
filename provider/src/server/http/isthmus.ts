/** `/v1/isthmus/*`: what Consul has no path for. */
import { z } from "zod";
import { MeshError } from "../../model/errors.ts";
import type { IdentityRequest, ProxyStatus } from "../../model/isthmus-api.ts";
import type { ServiceRecord } from "../../model/records.ts";
import { blockingRead, watchableSource } from "./blocking.ts";
import { type Call, json, param, type Reply, type Route } from "./call.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { apiObject } from "./fields.ts";
import { parseAs } from "./json-body.ts";
import { demand, demandAclWrite, demandOperatorWrite, demandServiceRead, demandServiceWrite } from "./permissions.ts";

const filePath = z
  .string()
  .min(1, "is empty")
  .max(4096, "is longer than 4096 characters")
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  .regex(/^[^\u0000-\u001f]+$/, "must not contain control characters");

const identityRequest = apiObject({
  PublicKey: z
    .string()
    .max(2048, "is longer than 2048 characters")
    .regex(
      /^-----BEGIN PUBLIC KEY-----\r?\n[A-Za-z0-9+/=\r\n]+-----END PUBLIC KEY-----\s*$/,
      "must be an SPKI public key in PEM",
    ),
  IdentityFile: filePath,
  AdminSocket: filePath,
});

export function isthmusRoutes(deps: ApiDependencies): readonly Route[] {
  const { store, node, proxies } = deps;

  const status = (call: Call): Promise<Reply> =>
    blockingRead(call, watchableSource(deps.status), (authorizer) => {
      demand(authorizer, authorizer.nodeRead(node.Node) || authorizer.operatorRead(), "node:read", node.Node);
      return json(deps.status.response());
    });

  const list = (call: Call): Promise<Reply> =>
    blockingRead(call, watchableSource(proxies), (authorizer) =>
      json(proxies.list().filter((proxy) => authorizer.serviceRead(proxy.Service))),
    );

  const one = (call: Call): Promise<Reply> =>
    blockingRead(call, watchableSource(proxies), (authorizer) => {
      const proxy: ProxyStatus | undefined = proxies.list().find((each) => each.ProxyID === param(call, "id"));
      if (!proxy) throw unknownProxy(call);
      demandServiceRead(authorizer, proxy.Service);
      return json(proxy);
    });

  const identity = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const id = param(call, "id");
    const request: IdentityRequest = parseAs(identityRequest, await call.json());
    const proxy: ServiceRecord | undefined = store.get("service", `${node.Node}/${id}`)?.value;
    if (!proxy || proxy.Kind === "") throw unknownProxy(call);
    demandServiceWrite(authorizer, proxy.Proxy?.DestinationServiceName || proxy.Service);
    return json(await proxies.issueIdentity(id, request, authorizer.accessor));
  };

  const join = (call: Call): Reply => {
    const authorizer = call.authorizer();
    demandOperatorWrite(authorizer);
    demandAclWrite(authorizer);
    return json(deps.join());
  };

  const forget = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    demandOperatorWrite(authorizer);
    demandAclWrite(authorizer);
    await deps.forgetDatacenter?.(param(call, "name"));
    return json(true, store.lastIndex("datacenter"));
  };

  return [
    { method: "GET", path: "/v1/isthmus/status", handle: status },
    { method: "GET", path: "/v1/isthmus/proxies", handle: list },
    { method: "GET", path: "/v1/isthmus/proxies/:id", handle: one },
    { method: "PUT", path: "/v1/isthmus/proxies/:id/identity", handle: identity },
    { method: "GET", path: "/v1/isthmus/join", handle: join },
    { method: "DELETE", path: "/v1/isthmus/datacenters/:name", toPrimary: () => true, handle: forget },
  ];
}

function unknownProxy(call: Call): MeshError {
  return new MeshError(
    "not_found",
    `unknown proxy ID ${JSON.stringify(param(call, "id"))}; register the sidecar or gateway first`,
  );
}
