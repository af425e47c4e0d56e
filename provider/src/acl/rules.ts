/** The rules of an ACL policy, read from HCL or JSON. Every resource and word that Consul knows, and no other. Pure. */
import { isMeshError, MeshError } from "../model/errors.ts";
import { type HclItem, type HclObject, type HclValue, hclError, type Position, readHcl } from "./hcl.ts";

export type Access = "deny" | "read" | "list" | "write";

/** Resources that have one rule for all of it: `acl = "write"`. */
export type PlainResource = "acl" | "keyring" | "mesh" | "operator" | "peering";

/** Resources with rules by name: `service "web" { … }`, `service_prefix "" { … }`. */
export type NamedResource = "agent" | "event" | "key" | "node" | "query" | "service" | "session";

export interface NamedRule {
  readonly resource: NamedResource;
  readonly match: "exact" | "prefix";
  /** The name or the prefix; as a prefix "" stands for every name. */
  readonly name: string;
  readonly access: Access;
  /** Rule of the intentions whose destination this is; on services only. Absent: what follows from `access`. */
  readonly intentions?: Access;
}

/** What one policy says. Several rules may speak of one name; {@link strongest} decides. */
export interface PolicyRules {
  readonly plain: readonly { readonly resource: PlainResource; readonly access: Access }[];
  readonly named: readonly NamedRule[];
}

const plainResources: readonly PlainResource[] = ["acl", "keyring", "mesh", "operator", "peering"];
const namedResources: readonly NamedResource[] = ["agent", "event", "key", "node", "query", "service", "session"];
const resourceWords = [...plainResources, ...namedResources.flatMap((name) => [name, `${name}_prefix`])].sort();

const byStrength: readonly Access[] = ["deny", "write", "list", "read"];

/** Of two rules for the same name the one that counts: deny before write before list before read. */
export function strongest(a: Access, b: Access): Access {
  return byStrength.indexOf(a) <= byStrength.indexOf(b) ? a : b;
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `"${word}"`).join(", ");
}

function readAccess(value: HclValue, what: string, allowList: boolean): Access {
  const words = byStrength.filter((word) => allowList || word !== "list");
  const found = words.find((word) => value.type === "scalar" && value.value === word);
  if (found) return found;
  const given = value.type === "scalar" ? JSON.stringify(value.value) : `a ${value.type}`;
  throw hclError(value.at, `${what} is ${given}; it can be ${quoted(words)}`);
}

/** `{ … }`, or the list of one such object that tools which turn HCL into JSON make of it. */
function objectOf(value: HclValue, what: string): HclObject {
  const only = value.type === "list" && value.items.length === 1 ? value.items[0]! : value;
  if (only.type !== "object") throw hclError(value.at, `${what} needs a block { policy = "…" }`);
  return only;
}

function readRule(resource: NamedResource, match: NamedRule["match"], name: string, value: HclValue, at: Position) {
  const what = `${resource}${match === "prefix" ? "_prefix" : ""} "${name}"`;
  let access: Access | undefined;
  let intentions: Access | undefined;
  for (const item of objectOf(value, what).items) {
    if (item.key === "policy") access = readAccess(item.value, `policy of ${what}`, resource === "key");
    else if (item.key === "intentions" && resource === "service") {
      intentions = readAccess(item.value, `intentions of ${what}`, false);
    } else {
      const known = resource === "service" ? ["policy", "intentions"] : ["policy"];
      throw hclError(item.at, `"${item.key}" means nothing in ${what}; it can have ${quoted(known)}`);
    }
  }
  if (access === undefined) throw hclError(at, `${what} has no policy: add policy = "read" or another`);
  const rule = { resource, match, name, access };
  return intentions === undefined ? rule : { ...rule, intentions };
}

/** Rules of one item: `service "web" { … }`, `service = { web = { … } }` or a list of the latter. */
function readNamed(resource: NamedResource, match: NamedRule["match"], item: HclItem): NamedRule[] {
  const what = `${resource}${match === "prefix" ? "_prefix" : ""}`;
  if (item.labels.length > 1) throw hclError(item.at, `${what} takes one name, not ${item.labels.length}`);
  if (item.labels.length === 1) return [readRule(resource, match, item.labels[0]!, item.value, item.at)];
  const objects = item.value.type === "list" ? item.value.items : [item.value];
  return objects.flatMap((value) => {
    if (value.type !== "object") {
      throw hclError(value.at, `${what} needs a name and a block: ${what} "…" { policy = "read" }`);
    }
    return value.items.flatMap((inner) => {
      if (inner.labels.length > 0) throw hclError(inner.at, `${what} takes one name`);
      return [readRule(resource, match, inner.key, inner.value, inner.at)];
    });
  });
}

/**
 * Reads a policy's rules. An empty text is a policy that grants nothing.
 * @throws {MeshError} `invalid` with the position, for a text that cannot be read and for an unknown resource or policy word.
 */
export function parseRules(text: string): PolicyRules {
  const plain: { resource: PlainResource; access: Access }[] = [];
  const named: NamedRule[] = [];
  for (const item of readPolicy(text).items) {
    const plainResource = plainResources.find((resource) => resource === item.key);
    const match = item.key.endsWith("_prefix") ? "prefix" : "exact";
    const namedResource = namedResources.find((resource) => resource === item.key.replace(/_prefix$/, ""));
    if (plainResource) {
      const what = `"${plainResource}"`;
      if (!item.assigned) throw hclError(item.at, `${what} takes one word: ${plainResource} = "read"`);
      plain.push({ resource: plainResource, access: readAccess(item.value, what, false) });
    } else if (namedResource) {
      named.push(...readNamed(namedResource, match, item));
    } else {
      throw hclError(item.at, `"${item.key}" is not a resource that rules know; they know ${quoted(resourceWords)}`);
    }
  }
  return { plain, named };
}

function readPolicy(text: string): HclObject {
  try {
    return readHcl(text);
  } catch (error) {
    if (!isMeshError(error) || !error.message.includes("a second object begins here")) throw error;
    const message = error.message.replace(
      "a file holds one",
      "the rules of a policy are one object, not several in a row",
    );
    throw new MeshError("invalid", message, { cause: error });
  }
}
