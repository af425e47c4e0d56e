/** Intention precedence against the definition: the most exact matching intention decides, else the default. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { callerDecisions, intentionPrecedence, isAllowed } from "./intention.ts";
import type { ServiceIntentionsEntry } from "./records.ts";

type Action = "allow" | "deny";

function entry(name: string, sources: Readonly<Record<string, Action>>): ServiceIntentionsEntry {
  return {
    Kind: "service-intentions",
    Name: name,
    Sources: Object.entries(sources).map(([Name, Action]) => ({ Name, Action })),
  };
}

test("precedence", () => {
  assert.deepEqual(
    [
      intentionPrecedence("web", "db"),
      intentionPrecedence("*", "db"),
      intentionPrecedence("web", "*"),
      intentionPrecedence("*", "*"),
    ],
    [9, 8, 6, 5],
  );
});

for (const [name, exact, any, defaultPolicy, source, expected] of [
  ["default deny", {}, {}, "deny", "web", false],
  ["default allow", {}, {}, "allow", "web", true],
  ["exact allow", { web: "allow" }, {}, "deny", "web", true],
  ["another name", { web: "allow" }, {}, "deny", "api", false],
  ["deny inside a wildcard allow", { "*": "allow", web: "deny" }, {}, "deny", "web", false],
  ["destination exactness dominates", { "*": "deny" }, { web: "allow" }, "allow", "web", false],
  ["wildcard destination", {}, { web: "allow" }, "deny", "web", true],
  ["wildcard to wildcard", {}, { "*": "allow" }, "deny", "web", true],
  ["source named like an object's property", { constructor: "allow" }, {}, "deny", "__proto__", false],
] as const) {
  test(name, () => {
    const decisions = callerDecisions(entry("db", exact), entry("*", any), defaultPolicy);
    assert.equal(isAllowed(decisions, source), expected);
  });
}

test("agrees with sorting every intention by precedence", () => {
  const names = ["web", "api", "db", "*"];
  const sources = fc.dictionary(fc.constantFrom(...names), fc.constantFrom<Action>("allow", "deny"));
  fc.assert(
    fc.property(sources, sources, fc.constantFrom<Action>("allow", "deny"), (exact, any, defaultPolicy) => {
      const entries = [entry("db", exact), entry("*", any)];
      const all = entries
        .flatMap((one) =>
          one.Sources.map((source) => ({ ...source, rank: intentionPrecedence(source.Name, one.Name) })),
        )
        .sort((a, b) => b.rank - a.rank);
      const decisions = callerDecisions(entries[0], entries[1], defaultPolicy);
      for (const caller of ["web", "api", "db", "unknown"]) {
        const first = all.find((one) => one.Name === caller || one.Name === "*");
        assert.equal(isAllowed(decisions, caller), (first?.Action ?? defaultPolicy) === "allow");
      }
    }),
  );
});
