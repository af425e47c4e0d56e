/**
 * `@isthmus/sdk/plugin`: the same classes as `@isthmus/sdk`, served by the provider plugin `pulumi-resource-isthmus` instead
 * of Pulumi's dynamic provider. A program changes its import and nothing else; what it made before stays as it is.
 */
import { AclPolicy as DynamicAclPolicy } from "./resources/acl-policy.ts";
import { AclToken as DynamicAclToken } from "./resources/acl-token.ts";
import { Datacenter as DynamicDatacenter } from "./resources/datacenter.ts";
import { Intention as DynamicIntention } from "./resources/intention.ts";
import { MeshGateway as DynamicMeshGateway } from "./resources/mesh-gateway.ts";
import { ProxyDefaults as DynamicProxyDefaults } from "./resources/proxy-defaults.ts";
import { ServiceDefaults as DynamicServiceDefaults } from "./resources/service-defaults.ts";
import { ServiceRegistration as DynamicServiceRegistration } from "./resources/service-registration.ts";

export {
  checkProgram,
  type Declared,
  type DeclaredDatacenter,
  type DeclaredService,
  type DeclaredServiceDefaults,
  type DeclaredUpstream,
  type Problem,
} from "./check-program.ts";
export type { AclPolicyArgs } from "./resources/acl-policy.ts";
export type { AclTokenArgs } from "./resources/acl-token.ts";
export type { DatacenterArgs, DatacenterPorts } from "./resources/datacenter.ts";
export type { IntentionArgs } from "./resources/intention.ts";
export type { MeshGatewayArgs } from "./resources/mesh-gateway.ts";
export type { ProxyDefaultsArgs } from "./resources/proxy-defaults.ts";
export type { DatacenterRef } from "./resources/reference.ts";
export type { ServiceDefaultsArgs, UpstreamDefaultsArgs } from "./resources/service-defaults.ts";
export type {
  CheckArgs,
  RunArgs,
  ServiceRef,
  ServiceRegistrationArgs,
  SidecarArgs,
  UpstreamArgs,
} from "./resources/service-registration.ts";
export type { MeshGatewayMode } from "./spec/words.ts";

/** The class with the plugin's type. */
function served<Class extends { readonly __pulumiType: string }>(base: Class, noun: string): Class {
  const type = `isthmus:index:${noun}`;
  // The compiler cannot extend a class that it does not know; every class here can be extended.
  const Base = base as unknown as new (...args: readonly unknown[]) => object;
  const Served = class extends Base {
    static readonly __pulumiType = type;
    static isInstance(value: unknown): boolean {
      return (value as { readonly __pulumiType?: unknown } | undefined)?.__pulumiType === type;
    }
  };
  Object.defineProperty(Served, "name", { value: noun });
  return Served as unknown as Class;
}

export const AclPolicy = served(DynamicAclPolicy, "AclPolicy");
export type AclPolicy = DynamicAclPolicy;
export const AclToken = served(DynamicAclToken, "AclToken");
export type AclToken<Known extends string = string> = DynamicAclToken<Known>;
export const Datacenter = served(DynamicDatacenter, "Datacenter");
export type Datacenter<Name extends string = string, Primary extends string = string> = DynamicDatacenter<
  Name,
  Primary
>;
export const Intention = served(DynamicIntention, "Intention");
export type Intention<Known extends string = string> = DynamicIntention<Known>;
export const MeshGateway = served(DynamicMeshGateway, "MeshGateway");
export type MeshGateway<Known extends string = string> = DynamicMeshGateway<Known>;
export const ProxyDefaults = served(DynamicProxyDefaults, "ProxyDefaults");
export type ProxyDefaults<Known extends string = string> = DynamicProxyDefaults<Known>;
export const ServiceDefaults = served(DynamicServiceDefaults, "ServiceDefaults");
export type ServiceDefaults<Known extends string = string> = DynamicServiceDefaults<Known>;
export const ServiceRegistration = served(DynamicServiceRegistration, "ServiceRegistration");
export type ServiceRegistration<
  Own extends string = string,
  Known extends string = string,
> = DynamicServiceRegistration<Own, Known>;
