/** The kinds of resources that the plugin serves, by type. */
import {
  type AclTokenSpec,
  aclPolicySchema,
  aclTokenSchema,
  datacenterSchema,
  intentionSchema,
  meshGatewaySpecSchema,
  proxyDefaultsSchema,
  type ServiceRegistrationSpec,
  serviceDefaultsSchema,
  serviceRegistrationSchema,
  unknownValue,
} from "@isthmus/sdk/spec";
import { z } from "zod";
import { MeshError } from "../../model/errors.ts";
import type { Props } from "../context.ts";
import { aclPolicy } from "../resources/acl-policy.ts";
import { accessorOf, aclToken } from "../resources/acl-token.ts";
import { datacenter } from "../resources/datacenter.ts";
import { intention } from "../resources/intention.ts";
import { meshGateway } from "../resources/mesh-gateway.ts";
import { proxyDefaults } from "../resources/proxy-defaults.ts";
import { serviceDefaults } from "../resources/service-defaults.ts";
import { serviceRegistration } from "../resources/service-registration.ts";
import { certificateOutput, type Noun, runningOutput, runtimeOutput } from "./noun.ts";

/** Name of the package: types are `<package>:index:<noun>`. */
export const packageName = "isthmus";

const nothing = (): Props => ({});
const noOutputs = z.strictObject({});

const all: readonly Noun[] = [
  {
    name: "Datacenter",
    description:
      "A datacenter: its control plane (catalog, ACLs, intentions, certificate authority, configuration of proxies) in a network of its own. The first is the primary; others join it.",
    handler: datacenter,
    schema: datacenterSchema,
    outputs: z.strictObject({
      running: runningOutput,
      trustDomain: z.string().describe("`<cluster id>.consul`: the same in every datacenter of the federation."),
      lanAddress: z.string().describe("Address of the control plane in its datacenter."),
      wanAddress: z.string().describe("Address of the control plane for other datacenters."),
      controlRoot: z
        .string()
        .describe(
          "Root certificate (PEM) of the control plane's own CA, by which its API, proxies and other datacenters know it.",
        )
        .optional(),
      revision: z.string().describe("Digest of the control plane's configuration."),
    }),
    secrets: [],
    stables: [
      "name",
      "primaryDatacenter",
      "runtime",
      "owner",
      "trustDomain",
      "lanAddress",
      "wanAddress",
      "controlRoot",
    ],
    foretell: () => ({ running: true }),
  },
  {
    name: "MeshGateway",
    description:
      "A mesh gateway: it routes connections between datacenters by their server name and never decrypts them. Give a datacenter several and traffic is spread over them.",
    handler: meshGateway,
    schema: meshGatewaySpecSchema,
    outputs: z.strictObject({
      runtime: runtimeOutput,
      running: runningOutput,
      lanAddress: z.string().describe("Address in its datacenter."),
      remoteAddress: z.string().describe("Address at which other datacenters reach it."),
      certificate: certificateOutput,
    }),
    secrets: [["token"]],
    stables: ["name", "datacenter", "owner", "lanAddress", "runtime"],
    foretell: ({ wanAddress }, olds) => ({
      running: true,
      ...(wanAddress !== undefined && { remoteAddress: wanAddress }),
      ...(wanAddress === undefined && olds?.["wanAddress"] !== undefined && { remoteAddress: unknownValue }),
    }),
  },
  {
    name: "ServiceRegistration",
    description:
      "A service of a datacenter with, usually, a sidecar. Service, sidecar and the local ports of its upstreams share one network namespace.",
    handler: serviceRegistration,
    schema: serviceRegistrationSchema,
    outputs: z.strictObject({
      runtime: runtimeOutput,
      running: runningOutput,
      lanAddress: z
        .string()
        .describe(
          "Address in its datacenter, at which its sidecar is reached; absent for a service that something else runs.",
        )
        .optional(),
      proxyId: z.string().describe("Id of its sidecar in the catalog; absent without one.").optional(),
      certificate: certificateOutput.optional(),
    }),
    secrets: [["token"], ["run", "secretFiles"]],
    stables: ["name", "datacenter", "owner", "runtime"],
    foretell: (inputs) => foretellService(inputs as unknown as ServiceRegistrationSpec),
  },
  {
    name: "ProxyDefaults",
    description:
      "The `proxy-defaults` entry, called `global`: what holds for every proxy of the federation. There is one.",
    handler: proxyDefaults,
    schema: proxyDefaultsSchema,
    outputs: noOutputs,
    secrets: [],
    stables: ["name"],
    foretell: nothing,
  },
  {
    name: "ServiceDefaults",
    description: "The `service-defaults` entry of one service: what holds for every instance of it.",
    handler: serviceDefaults,
    schema: serviceDefaultsSchema,
    outputs: noOutputs,
    secrets: [],
    stables: ["name"],
    foretell: nothing,
  },
  {
    name: "Intention",
    description:
      "An intention allows or denies connections from one service to another. The most exact one decides; without any, the datacenter's `acl.defaultPolicy` does.",
    handler: intention,
    schema: intentionSchema,
    outputs: noOutputs,
    secrets: [],
    stables: ["source", "destination"],
    foretell: nothing,
  },
  {
    name: "AclPolicy",
    description: "An ACL policy: named rules that tokens can carry.",
    handler: aclPolicy,
    schema: aclPolicySchema,
    outputs: z.strictObject({ policyId: z.string().describe("Id that the control plane gave it.") }),
    secrets: [],
    stables: ["name", "policyId"],
    foretell: nothing,
  },
  {
    name: "AclToken",
    description: "An ACL token: a secret that carries policies and identities.",
    handler: aclToken,
    schema: aclTokenSchema,
    outputs: z.strictObject({
      accessorId: z.string().describe("What names the token; not a secret."),
      secretId: z.string().describe("What a client sends; a secret."),
    }),
    secrets: [["secretId"]],
    stables: ["owner", "local", "accessorId", "secretId"],
    foretell: (inputs) => ({ accessorId: accessorOf(inputs as unknown as AclTokenSpec) }),
  },
];

/** A service that nobody here runs and that has no sidecar has no unit. */
function foretellService(spec: ServiceRegistrationSpec): Props {
  const sidecar = typeof spec.connect === "string" ? unknownValue : spec.connect?.sidecarService;
  const known = sidecar !== unknownValue && spec.name !== unknownValue;
  return {
    running: true,
    ...(sidecar === undefined && { proxyId: undefined, certificate: undefined }),
    ...(sidecar === undefined && spec.run === undefined && { lanAddress: undefined }),
    ...(sidecar !== undefined && known && { proxyId: `${spec.name}-sidecar-proxy` }),
  };
}

/** Every kind of resource, by its type: `isthmus:index:Datacenter`. */
export const nouns: ReadonlyMap<string, Noun> = new Map(all.map((noun) => [`${packageName}:index:${noun.name}`, noun]));

/** @throws {MeshError} `not_found` for a type that there is not. */
export function nounOf(type: string): Noun {
  const noun = nouns.get(type);
  if (!noun)
    throw new MeshError("not_found", `there is no resource ${type}; there are ${[...nouns.keys()].join(", ")}`);
  return noun;
}
