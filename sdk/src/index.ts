/** `@isthmus/sdk`: what a Pulumi program imports to declare a service mesh across datacenters. */
export {
  checkProgram,
  type Declared,
  type DeclaredDatacenter,
  type DeclaredService,
  type DeclaredServiceDefaults,
  type DeclaredUpstream,
  type Problem,
} from "./check-program.ts";
export { AclPolicy, type AclPolicyArgs } from "./resources/acl-policy.ts";
export { AclToken, type AclTokenArgs } from "./resources/acl-token.ts";
export { Datacenter, type DatacenterArgs, type DatacenterPorts } from "./resources/datacenter.ts";
export { Intention, type IntentionArgs } from "./resources/intention.ts";
export { MeshGateway, type MeshGatewayArgs } from "./resources/mesh-gateway.ts";
export { ProxyDefaults, type ProxyDefaultsArgs } from "./resources/proxy-defaults.ts";
export type { DatacenterRef } from "./resources/reference.ts";
export { ServiceDefaults, type ServiceDefaultsArgs, type UpstreamDefaultsArgs } from "./resources/service-defaults.ts";
export {
  type CheckArgs,
  type RunArgs,
  type ServiceRef,
  ServiceRegistration,
  type ServiceRegistrationArgs,
  type SidecarArgs,
  type UpstreamArgs,
} from "./resources/service-registration.ts";
export type { MeshGatewayMode } from "./spec/words.ts";
