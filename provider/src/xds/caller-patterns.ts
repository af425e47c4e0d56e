/** SPIFFE identities of callers as Envoy's string matchers: what the TLS handshake and the RBAC filter compare with. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { StringMatcherSchema } from "../gen/envoy/type/matcher/v3/string_pb.ts";
import type { CallerDecisions } from "../model/proxy-snapshot.ts";
import { anyName, everyNameExcept } from "./complement-pattern.ts";

/** A matcher of one string. */
export type Matcher = MessageInitShape<typeof StringMatcherSchema>;

/**
 * A URI that no certificate has: ours all begin with `spiffe://`, and a URI has no space. It stands for an empty list,
 * since Envoy takes an empty list of names for "every certificate of the CA".
 */
const nobody: Matcher = { matchPattern: { case: "exact", value: "nobody at all" } };

/** The identity of a service in any datacenter. Envoy matches patterns in full. */
export function callerNamed(trustDomain: string, service: string): Matcher {
  return caller(trustDomain, quoted(service));
}

/** The identity of any service. */
export function anyCaller(trustDomain: string): Matcher {
  return caller(trustDomain, anyName);
}

/**
 * The identities that may pass the handshake: never empty, and exactly those that the decisions allow. With
 * `others: "allow"` they are patterns for everyone but the denied.
 */
export function allowedCallers(trustDomain: string, callers: CallerDecisions): readonly Matcher[] {
  if (callers.others === "allow") {
    return everyNameExcept(decided(callers, false)).map((pattern) => caller(trustDomain, pattern));
  }
  const allowed = decided(callers, true).map((service) => callerNamed(trustDomain, service));
  return allowed.length > 0 ? allowed : [nobody];
}

/** Names with the given decision of their own, sorted. */
export function decided(callers: CallerDecisions, allow: boolean): readonly string[] {
  const names = callers.named.filter((one) => one.allow === allow).map((one) => one.service);
  return [...new Set(names)].sort();
}

function caller(trustDomain: string, namePattern: string): Matcher {
  const regex = `spiffe://${quoted(trustDomain)}/ns/default/dc/[^/]+/svc/${namePattern}`;
  return { matchPattern: { case: "safeRegex", value: { regex } } };
}

/** Text as a pattern that matches only itself. */
function quoted(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
