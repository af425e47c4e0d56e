import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { everyNameExcept } from "./complement-pattern.ts";

const nameCharacters = "-._09AZabz";
const serviceName = fc.string({ unit: fc.constantFrom(...nameCharacters), minLength: 1, maxLength: 6 });

/** As Envoy matches: in full. */
function matches(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => new RegExp(`^(?:${pattern})$`, "u").test(text));
}

test("matches exactly the valid names that are not in the set", () => {
  fc.assert(
    fc.property(
      fc.array(serviceName, { maxLength: 12 }),
      fc.array(serviceName, { maxLength: 12 }),
      (denied, others) => {
        const patterns = everyNameExcept(denied);
        for (const name of [...denied, ...others]) assert.equal(matches(patterns, name), !denied.includes(name), name);
      },
    ),
    { numRuns: 400, seed: 1 },
  );
});

test("tells a name from its prefixes and its continuations", () => {
  fc.assert(
    fc.property(fc.array(serviceName, { minLength: 1, maxLength: 6 }), serviceName, (denied, tail) => {
      const patterns = everyNameExcept(denied);
      for (const name of denied) {
        for (const near of [name + tail, name.slice(0, -1), name.slice(1), name.toUpperCase()]) {
          assert.equal(matches(patterns, near), near !== "" && !denied.includes(near), near);
        }
      }
    }),
    { numRuns: 400, seed: 2 },
  );
});

test("holds for sets that take several patterns", () => {
  const characters = [...nameCharacters];
  const pairs = characters.flatMap((a) => characters.map((b) => a + b));
  const denied = pairs.flatMap((pair) => pairs.slice(0, 40).map((tail) => pair + tail)).concat("a", "ab", "z");
  const patterns = everyNameExcept(denied).map((pattern) => new RegExp(`^(?:${pattern})$`, "u"));
  assert.ok(patterns.length > 10);
  const known = new Set(denied);
  for (const name of pairs.flatMap((pair) => [pair, ...pairs.map((tail) => pair + tail)]).concat(characters)) {
    for (const text of [name, `${name}x`]) {
      assert.equal(
        patterns.some((pattern) => pattern.test(text)),
        !known.has(text),
        text,
      );
    }
  }
});

test("matches nothing that is no service name", () => {
  for (const text of ["", "a/b", "a b", "é", "a\n", "web/", "*"]) {
    assert.equal(matches(everyNameExcept(["web"]), text), false, JSON.stringify(text));
    assert.equal(matches(everyNameExcept([]), text), false, JSON.stringify(text));
  }
});

test("does not depend on order or repetition, and leaves out what is no name", () => {
  assert.deepEqual(everyNameExcept(["b", "ab", "a"]), everyNameExcept(["a", "ab", "b", "b"]));
  assert.deepEqual(everyNameExcept(["a/b", "*", ""]), everyNameExcept([]));
});
