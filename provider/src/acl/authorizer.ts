/**
 * What a token may do, from the rules of its policies. Pure. Meaning as in Consul (acl/policy_merger.go and
 * acl/policy_authorizer.go of 1.16): rules of all policies are merged by name, then for a name the exact rule counts, else
 * the longest prefix that fits, else the default policy.
 *
 * Example: `service_prefix "" read`, `service_prefix "web-" deny`, `service "web-1" write`
 *   web-1 → exact → write;   web-2 → longest prefix "web-" → deny;   db → prefix "" → read, so a write is refused
 */
import type { Authorizer } from "../model/authorizer.ts";
import { type Access, type NamedRule, type PlainResource, type PolicyRules, strongest } from "./rules.ts";

export type DefaultPolicy = "allow" | "deny";

export interface ServiceIdentity {
  readonly ServiceName: string;
  /** Where it holds; everywhere when absent or empty. */
  readonly Datacenters?: readonly string[];
}

export interface NodeIdentity {
  readonly NodeName: string;
  readonly Datacenter: string;
}

export interface AuthorizerInput {
  readonly accessor: string;
  readonly policies: readonly PolicyRules[];
  readonly serviceIdentities: readonly ServiceIdentity[];
  readonly nodeIdentities: readonly NodeIdentity[];
  readonly defaultPolicy: DefaultPolicy;
  /** The datacenter that asks; identities of other datacenters mean nothing in it. */
  readonly datacenter: string;
}

/** Rules of one resource, merged, looked up by name. */
interface RuleTable {
  readonly exact: ReadonlyMap<string, Access>;
  readonly prefix: ReadonlyMap<string, Access>;
  /** Lengths of the prefixes, longest first. */
  readonly lengths: readonly number[];
}

type Decision = boolean | "default";

function tableOf(rules: readonly NamedRule[], accessOf: (rule: NamedRule) => Access): RuleTable {
  const merged = { exact: new Map<string, Access>(), prefix: new Map<string, Access>() };
  for (const rule of rules) merged[rule.match].set(rule.name, accessOf(rule));
  const lengths = [...new Set([...merged.prefix.keys()].map((name) => name.length))].sort((a, b) => b - a);
  return { ...merged, lengths };
}

/** One rule a name: `policy` and `intentions` are merged apart from each other. */
function mergeByName(rules: readonly NamedRule[]): readonly NamedRule[] {
  const merged = new Map<string, NamedRule>();
  for (const rule of rules) {
    const id = `${rule.match} ${rule.name}`;
    const before = merged.get(id);
    if (!before) {
      merged.set(id, rule);
      continue;
    }
    const access = strongest(before.access, rule.access);
    const said = [before.intentions, rule.intentions].filter((intentions) => intentions !== undefined);
    merged.set(id, { ...before, access, ...(said.length > 0 ? { intentions: said.reduce(strongest) } : {}) });
  }
  return [...merged.values()];
}

/** A service that may be read or written lets its intentions be read; writing them needs a word of its own. */
function intentionsOf(rule: NamedRule): Access {
  return rule.intentions ?? (rule.access === "deny" ? "deny" : "read");
}

function ruleFor(table: RuleTable, name: string): Access | undefined {
  const exact = table.exact.get(name);
  if (exact) return exact;
  for (const length of table.lengths) {
    const access = length <= name.length ? table.prefix.get(name.slice(0, length)) : undefined;
    if (access) return access;
  }
  return undefined;
}

function grants(rule: Access, wanted: "read" | "write"): boolean {
  return rule === "write" || (wanted === "read" && (rule === "read" || rule === "list"));
}

function decide(rule: Access | undefined, wanted: "read" | "write"): Decision {
  return rule === undefined ? "default" : grants(rule, wanted);
}

function everyRule(table: RuleTable): readonly Access[] {
  return [...table.exact.values(), ...table.prefix.values()];
}

/** For questions about all names at once: one rule that refuses is enough for no. */
function decideAll(table: RuleTable, wanted: "read" | "write"): Decision {
  if (everyRule(table).some((rule) => !grants(rule, wanted))) return false;
  return table.prefix.has("") ? true : "default";
}

/** For questions about any name: one rule that grants is enough for yes. */
function decideAny(table: RuleTable, wanted: "read" | "write"): Decision {
  if (everyRule(table).some((rule) => grants(rule, wanted))) return true;
  return table.prefix.has("") ? false : "default";
}

/** What a service identity stands for: its own service and sidecar to write, everything to read. */
function serviceIdentityRules(service: string): PolicyRules {
  const own = [service, `${service}-sidecar-proxy`];
  return {
    plain: [],
    named: [
      ...own.map((name): NamedRule => ({ resource: "service", match: "exact", name, access: "write" })),
      { resource: "service", match: "prefix", name: "", access: "read" },
      { resource: "node", match: "prefix", name: "", access: "read" },
    ],
  };
}

/** What a node identity stands for: its own node to write, every service to read. */
function nodeIdentityRules(node: string): PolicyRules {
  return {
    plain: [],
    named: [
      { resource: "node", match: "exact", name: node, access: "write" },
      { resource: "service", match: "prefix", name: "", access: "read" },
    ],
  };
}

/** The authorizer of a token. Management (`acl`) is never granted by the default policy. */
export function createAuthorizer(input: AuthorizerInput): Authorizer {
  const { datacenter } = input;
  const here = ({ Datacenters = [] }: ServiceIdentity) => Datacenters.length === 0 || Datacenters.includes(datacenter);
  const policies = [
    ...input.policies,
    ...input.serviceIdentities.filter(here).map(({ ServiceName }) => serviceIdentityRules(ServiceName)),
    ...input.nodeIdentities
      .filter(({ Datacenter }) => Datacenter === datacenter)
      .map(({ NodeName }) => nodeIdentityRules(NodeName)),
  ];
  const named = policies.flatMap((policy) => policy.named);
  const serviceRules = mergeByName(named.filter((rule) => rule.resource === "service"));
  const services = tableOf(serviceRules, (rule) => rule.access);
  const intentions = tableOf(serviceRules, intentionsOf);
  const nodes = tableOf(mergeByName(named.filter((rule) => rule.resource === "node")), (rule) => rule.access);
  const plainRule = (resource: PlainResource): Access | undefined => {
    const said = policies.flatMap((policy) => policy.plain.filter((rule) => rule.resource === resource));
    return said.length === 0 ? undefined : said.map((rule) => rule.access).reduce(strongest);
  };
  const [acl, operator] = [plainRule("acl"), plainRule("operator")];
  const orDefault = (decision: Decision) => (decision === "default" ? input.defaultPolicy === "allow" : decision);

  return {
    accessor: input.accessor,
    serviceRead: (name) => orDefault(decide(ruleFor(services, name), "read")),
    serviceWrite: (name) => orDefault(decide(ruleFor(services, name), "write")),
    serviceReadAll: () => orDefault(decideAll(services, "read")),
    nodeRead: (name) => orDefault(decide(ruleFor(nodes, name), "read")),
    nodeWrite: (name) => orDefault(decide(ruleFor(nodes, name), "write")),
    // An intention for every destination may be read by whoever may read one, and written by whoever may write all.
    intentionRead: (destination) =>
      orDefault(destination === "*" ? decideAny(intentions, "read") : decide(ruleFor(intentions, destination), "read")),
    intentionWrite: (destination) =>
      orDefault(
        destination === "*" ? decideAll(intentions, "write") : decide(ruleFor(intentions, destination), "write"),
      ),
    aclRead: () => acl !== undefined && grants(acl, "read"),
    aclWrite: () => acl !== undefined && grants(acl, "write"),
    operatorRead: () => orDefault(decide(operator, "read")),
    operatorWrite: () => orDefault(decide(operator, "write")),
  };
}

/** The rules of the builtin policy `global-management`, as they are shown. */
export const managementRules = `acl = "write"
agent_prefix "" { policy = "write" }
event_prefix "" { policy = "write" }
key_prefix "" { policy = "write" }
keyring = "write"
mesh = "write"
node_prefix "" { policy = "write" }
operator = "write"
peering = "write"
query_prefix "" { policy = "write" }
service_prefix "" {
  policy = "write"
  intentions = "write"
}
session_prefix "" { policy = "write" }
`;

/** May do everything, whatever the store holds. For the management policy, the control plane itself, and ACLs turned off. */
export function managementAuthorizer(accessor: string): Authorizer {
  const yes = () => true;
  return {
    accessor,
    serviceRead: yes,
    serviceWrite: yes,
    serviceReadAll: yes,
    nodeRead: yes,
    nodeWrite: yes,
    intentionRead: yes,
    intentionWrite: yes,
    aclRead: yes,
    aclWrite: yes,
    operatorRead: yes,
    operatorWrite: yes,
  };
}
