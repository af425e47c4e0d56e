/** The HCL reader: what it reads, and where it says a fault is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHcl } from "./hcl.ts";

const readable: readonly [string, string, unknown][] = [
  ["nothing", "", {}],
  ["comments only", "# a\n// b\n/* c\n*/", {}],
  ["scalars", 'a = "x" b = 1 c = -2.5e3 d = true e = 0x1F f = false g = null', scalars()],
  ["a colon for the equals sign", 'connect { "enabled": true }', { connect: { enabled: true } }],
  ["escapes", String.raw`a = "\"\\\n\t\u00e9\U0001F600\/"`, { a: '"\\\n\té\u{1F600}/' }],
  ["interpolation is left alone", `a = "$${"{b.c}"}"`, { a: `$${"{b.c}"}` }],
  ["heredoc", "a = <<EOF\n one\n  two\nEOF\nb = 1", { a: " one\n  two\n", b: 1 }],
  ["indented heredoc", "a = <<-END\n    one\n      two\n\n    END", { a: "one\n  two\n\n" }],
  ["lists", 'a = [1, "b", [true], {c = 1},]', { a: [1, "b", [true], { c: 1 }] }],
  ["a block", "a { b = 1 }", { a: { b: 1 } }],
  ["a block with labels", 'service "web" "x" { p = 1 }', { service: { web: { x: { p: 1 } } } }],
  ["an empty label", 'service_prefix "" { policy = "read" }', { service_prefix: { "": { policy: "read" } } }],
  ["blocks of one name", 'a "x" { n = 1 }\na "y" { n = 2 }', { a: [{ x: { n: 1 } }, { y: { n: 2 } }] }],
  ["an object as a value", "a = { b = 1, c = 2 }", { a: { b: 1, c: 2 } }],
  ["JSON", '{"a": {"b": [1, null, "c"]}, "d": true}', { a: { b: [1, null, "c"] }, d: true }],
  ["a byte order mark", "\uFEFFa = 1", { a: 1 }],
  ["Windows lines", "a = 1\r\nb = <<E\r\nx\r\nE\r\n", { a: 1, b: "x\n" }],
];

function scalars() {
  return { a: "x", b: 1, c: -2500, d: true, e: 31, f: false, g: null };
}

for (const [what, text, expected] of readable) {
  test(`parseHcl reads ${what}`, () => assert.deepEqual(parseHcl(text), expected));
}

test("parseHcl treats names that mean something to JavaScript as names", () => {
  const parsed = parseHcl('__proto__ { polluted = true }\nconstructor = 1\na "__proto__" { b = 1 }');
  assert.deepEqual(Object.keys(parsed), ["__proto__", "constructor", "a"]);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  assert.deepEqual(Object.keys(parsed["a"] as object), ["__proto__"]);
});

const faulty: readonly [string, string, RegExp][] = [
  ["two objects in a row", '{"a": 1}\n{"b": 2}', /^line 2, column 1: a second object begins here/],
  ["text after the object", '{"a": 1} x', /^line 1, column 10: nothing may follow the object, and here is "x"/],
  ["an open block", "a {\n  b = 1\n", /^line 1, column 3: this block is not closed/],
  ["an open list", "a = [1,", /^line 1, column 5: this list is not closed/],
  ["an open string", 'a = "x\nb = 1', /^line 1, column 5: this string is not closed/],
  ["an open comment", "a = 1 /* b", /^line 1, column 7: this comment is not closed/],
  ["an open heredoc", "a = <<EOF\nx", /^line 1, column 5: this heredoc is not closed by a line "EOF"/],
  ["a bad escape", 'a = "\\q"', /^line 1, column 6: "\\q" is not an escape/],
  ["no value", "a =\n", /^line 2, column 1: a value is expected here, not the end of the text/],
  ["a bare word as a value", "a = yes", /^line 1, column 5: a value is expected here, not "y"/],
  ["a number with a word behind it", "a = 12abc", /^line 1, column 5: a value is expected/],
  ["a leading zero", "a = 0755", /^line 1, column 5: a value is expected/],
  ["a name alone", "a", /^line 1, column 2: "=" or "{" is expected after "a"/],
  ["a label with a value", 'a "b" = 1', /^line 1, column 7: "a" has a label/],
  ["a brace too many", "a {}\n}", /^line 2, column 1: this "}" closes nothing/],
  ["a value set twice", "a = 1\na = 2", /^line 2, column 1: "a" is set twice/],
  ["a value and a block of one name", "a {}\na = 2", /^line 2, column 1: "a" is set twice/],
  ["a key twice in JSON", '{"a": {}, "a": {}}', /^line 1, column 11: "a" is set twice/],
  ["a list at the top", "[1]", /^line 1, column 1: a name is expected here/],
  ["no comma in a list", "a = [1 2]", /^line 1, column 8: "," or "]" is expected/],
  ["deep nesting", `a = ${"[".repeat(10_000)}`, /nested deeper than 64 levels/],
  ["deep blocks", "a {".repeat(10_000), /nested deeper than 64 levels/],
];
for (const [what, text, message] of faulty) {
  test(`parseHcl refuses ${what}`, () => {
    assert.throws(() => parseHcl(text), { name: "MeshError", code: "invalid", message });
  });
}
