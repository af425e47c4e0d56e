/**
 * The public listener's RBAC rules: the second layer behind the handshake's list of identities, made from the same
 * decisions but by a way of its own (denials are `not`, no complement), so that a mistake in one is caught by the other.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TypedExtensionConfigSchema } from "../gen/envoy/config/core/v3/extension_pb.ts";
import type { PolicySchema, PrincipalSchema } from "../gen/envoy/config/rbac/v3/rbac_pb.ts";
import { RBAC_Action } from "../gen/envoy/config/rbac/v3/rbac_pb.ts";
import { RBACSchema } from "../gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts";
import { anyCaller, callerNamed, decided, type Matcher } from "./caller-patterns.ts";
import { packed } from "./config-source.ts";
import type { CallerInput } from "./secrets.ts";

type PrincipalInit = MessageInitShape<typeof PrincipalSchema>;

/** Prefix of the filter's counters: `connect_authz.rbac.allowed`. */
export const rbacStatPrefix = "connect_authz.";

/** The filter without any policy, which denies everybody; what a listener starts with. */
export const denyEveryone = packed(RBACSchema, { statPrefix: rbacStatPrefix, rules: { action: RBAC_Action.ALLOW } });

/** The rules as a discovered filter configuration. */
export function intentions(
  name: string,
  input: { readonly trustDomain: string; readonly callers: CallerInput },
): MessageInitShape<typeof TypedExtensionConfigSchema> {
  const principal = allowedPrincipal(input.trustDomain, input.callers);
  const policies: { [name: string]: MessageInitShape<typeof PolicySchema> } = principal
    ? { callers: { permissions: [{ rule: { case: "any", value: true } }], principals: [principal] } }
    : {};
  return {
    name,
    typedConfig: packed(RBACSchema, { statPrefix: rbacStatPrefix, rules: { action: RBAC_Action.ALLOW, policies } }),
  };
}

/** Undefined when nobody may call. */
function allowedPrincipal(trustDomain: string, callers: CallerInput): PrincipalInit | undefined {
  const named = (allow: boolean) =>
    decided(callers, allow).map((service) => authenticated(callerNamed(trustDomain, service)));
  if (callers.others === "deny") return oneOf(named(true));
  const denied = oneOf(named(false));
  const everyone = authenticated(anyCaller(trustDomain));
  if (!denied) return everyone;
  return {
    identifier: { case: "andIds", value: { ids: [everyone, { identifier: { case: "notId", value: denied } }] } },
  };
}

function oneOf(ids: readonly PrincipalInit[]): PrincipalInit | undefined {
  if (ids.length <= 1) return ids[0];
  return { identifier: { case: "orIds", value: { ids: [...ids] } } };
}

function authenticated(principalName: Matcher): PrincipalInit {
  return { identifier: { case: "authenticated", value: { principalName } } };
}
