/** Permission checks with Consul's words. */
import type { Authorizer } from "../../model/authorizer.ts";
import { MeshError } from "../../model/errors.ts";

/** @throws {MeshError} `permission_denied` unless allowed; the message names the permission and the resource. */
export function demand(authorizer: Authorizer, allowed: boolean, permission: string, resource?: string): void {
  if (allowed) return;
  const on = resource === undefined ? "" : ` on ${JSON.stringify(resource)}`;
  if (authorizer.accessor === "anonymous") {
    throw new MeshError(
      "permission_denied",
      `Permission denied: anonymous token lacks permission '${permission}'${on}. The anonymous token is used when a request names none: send one in the X-Consul-Token header.`,
    );
  }
  throw new MeshError(
    "permission_denied",
    `Permission denied: token with AccessorID '${authorizer.accessor}' lacks permission '${permission}'${on}`,
  );
}

export function demandServiceWrite(authorizer: Authorizer, service: string): void {
  demand(authorizer, authorizer.serviceWrite(service), "service:write", service);
}

export function demandServiceRead(authorizer: Authorizer, service: string): void {
  demand(authorizer, authorizer.serviceRead(service), "service:read", service);
}

export function demandNodeWrite(authorizer: Authorizer, node: string): void {
  demand(authorizer, authorizer.nodeWrite(node), "node:write", node);
}

export function demandNodeRead(authorizer: Authorizer, node: string): void {
  demand(authorizer, authorizer.nodeRead(node), "node:read", node);
}

export function demandOperatorRead(authorizer: Authorizer): void {
  demand(authorizer, authorizer.operatorRead(), "operator:read");
}

export function demandOperatorWrite(authorizer: Authorizer): void {
  demand(authorizer, authorizer.operatorWrite(), "operator:write");
}

export function demandAclRead(authorizer: Authorizer): void {
  demand(authorizer, authorizer.aclRead(), "acl:read");
}

export function demandAclWrite(authorizer: Authorizer): void {
  demand(authorizer, authorizer.aclWrite(), "acl:write");
}
