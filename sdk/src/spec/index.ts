/** `@isthmus/sdk/spec`: schemas and types of everything a program can say. Light: zod and nothing else. */
export { type AclPolicySpec, aclPolicySchema } from "./acl-policy.ts";
export { type AclTokenSpec, aclTokenSchema } from "./acl-token.ts";
export { checkSpec, containsUnknown, type SpecFailure, type SpecResult, unknownValue } from "./check.ts";
export { type DatacenterSpec, datacenterSchema } from "./datacenter.ts";
export { type IntentionSpec, intentionSchema } from "./intention.ts";
export { type MeshGatewaySpec, meshGatewaySpecSchema } from "./mesh-gateway.ts";
export { type ProxyDefaultsSpec, proxyDefaultsSchema } from "./proxy-defaults.ts";
export { type ServiceDefaultsSpec, serviceDefaultsSchema } from "./service-defaults.ts";
export {
  type CheckSpec,
  type RunSpec,
  type ServiceRegistrationSpec,
  type SidecarSpec,
  serviceRegistrationSchema,
  type UpstreamSpec,
} from "./service-registration.ts";
export { durationSeconds } from "./shared.ts";
export { type MeshGatewayMode, meshGatewayModes, type OwnerSpec } from "./words.ts";
