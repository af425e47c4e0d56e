import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { TypedExtensionConfigSchema } from "../gen/envoy/config/core/v3/extension_pb.ts";
import type { Principal } from "../gen/envoy/config/rbac/v3/rbac_pb.ts";
import { RBACSchema } from "../gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts";
import type { StringMatcher } from "../gen/envoy/type/matcher/v3/string_pb.ts";
import { StringMatcherSchema } from "../gen/envoy/type/matcher/v3/string_pb.ts";
import { spiffeId } from "../model/identity.ts";
import { isAllowed } from "../model/intention.ts";
import type { CallerDecisions } from "../model/proxy-snapshot.ts";
import { allowedCallers } from "./caller-patterns.ts";
import { intentions } from "./intentions-rbac.ts";

const trustDomain = "11111111-2222-3333-4444-555555555555.consul";
const serviceName = fc.string({ unit: fc.constantFrom(..."ab.-_1"), minLength: 1, maxLength: 4 });
const decisions: fc.Arbitrary<CallerDecisions> = fc.record({
  named: fc.uniqueArray(fc.record({ service: serviceName, allow: fc.boolean() }), {
    selector: (one) => one.service,
    maxLength: 8,
  }),
  others: fc.constantFrom("allow", "deny"),
});

test("handshake and RBAC both say what the decisions say", () => {
  fc.assert(
    fc.property(decisions, fc.array(serviceName, { maxLength: 8 }), (callers, more) => {
      for (const service of [...callers.named.map((one) => one.service), ...more]) {
        const uri = spiffeId({ trustDomain, datacenter: "dc2", service });
        assert.equal(passesHandshake(callers, uri), isAllowed(callers, service), `handshake, ${service}`);
        assert.equal(passesRbac(callers, uri), isAllowed(callers, service), `RBAC, ${service}`);
      }
    }),
    { numRuns: 300, seed: 3 },
  );
});

const strangers: readonly (readonly [what: string, uri: string])[] = [
  ["another trust domain", "spiffe://22222222.consul/ns/default/dc/dc1/svc/web"],
  [
    "a trust domain that only looks alike",
    "spiffe://11111111-2222-3333-4444-555555555555xconsul/ns/default/dc/dc1/svc/web",
  ],
  ["something before", `x${spiffeId({ trustDomain, datacenter: "dc1", service: "web" })}`],
  ["something behind", `${spiffeId({ trustDomain, datacenter: "dc1", service: "web" })}/x`],
  ["a datacenter with a slash", `spiffe://${trustDomain}/ns/default/dc/a/b/svc/web`],
  ["another namespace", `spiffe://${trustDomain}/ns/other/dc/dc1/svc/web`],
  ["nothing", ""],
];
for (const [what, uri] of strangers) {
  test(`nobody lets in ${what}`, () => {
    for (const callers of [
      { named: [], others: "allow" },
      { named: [{ service: "web", allow: true }], others: "deny" },
      { named: [{ service: "api", allow: false }], others: "allow" },
      { named: [], others: "deny" },
    ] satisfies CallerDecisions[]) {
      assert.equal(passesHandshake(callers, uri), false);
      assert.equal(passesRbac(callers, uri), false);
    }
  });
}

test("the list for the handshake is never empty, which would let in everybody", () => {
  assert.equal(allowedCallers(trustDomain, { named: [], others: "deny" }).length, 1);
  assert.equal(allowedCallers(trustDomain, { named: [{ service: "a", allow: false }], others: "deny" }).length, 1);
});

function passesHandshake(callers: CallerDecisions, uri: string): boolean {
  return allowedCallers(trustDomain, callers).some((matcher) => matches(create(StringMatcherSchema, matcher), uri));
}

function passesRbac(callers: CallerDecisions, uri: string): boolean {
  const config = create(TypedExtensionConfigSchema, intentions("x", { trustDomain, callers }));
  const { rules } = fromBinary(RBACSchema, config.typedConfig!.value);
  return Object.values(rules!.policies).some((policy) => policy.principals.some((one) => holds(one, uri)));
}

function holds({ identifier }: Principal, uri: string): boolean {
  switch (identifier.case) {
    case "andIds":
      return identifier.value.ids.every((one) => holds(one, uri));
    case "orIds":
      return identifier.value.ids.some((one) => holds(one, uri));
    case "notId":
      return !holds(identifier.value, uri);
    case "authenticated":
      return matches(identifier.value.principalName!, uri);
    default:
      throw new Error(`unexpected ${identifier.case}`);
  }
}

/** As Envoy matches: patterns in full. */
function matches({ matchPattern }: StringMatcher, text: string): boolean {
  if (matchPattern.case === "exact") return matchPattern.value === text;
  if (matchPattern.case === "safeRegex") return new RegExp(`^(?:${matchPattern.value.regex})$`, "u").test(text);
  throw new Error(`unexpected ${matchPattern.case}`);
}
