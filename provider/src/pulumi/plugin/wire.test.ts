/** Properties of the wire: what handlers see of secrets and unknowns, and what goes back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { unknownValue } from "@isthmus/sdk/spec";
import { decode, encode } from "./wire.ts";

const mark = "4dabf18193072939515e22adb298388d";
const secret = (value: unknown) => ({ [mark]: "1b47061264138c4ac30d75fd1eb44270", value });
const output = (more: object) => ({ [mark]: "d0e6a833031e9bbcd3f4e8bde6ca49a4", ...more });
const unknownNumber = "3eeb2bf0-c639-47a8-9e75-3b44932eb421";

test("decode: secrets are opened and remembered, unknowns are of one kind, what is the engine's is left out", () => {
  const rows: readonly [string, Record<string, unknown>, object, readonly (readonly string[])[]][] = [
    ["plain", { a: 1, b: ["x", { c: true }] }, { a: 1, b: ["x", { c: true }] }, []],
    ["secret", { token: secret("t") }, { token: "t" }, [["token"]]],
    [
      "secrets inside",
      { run: { env: [secret({ a: secret(1) })] } },
      { run: { env: [{ a: 1 }] } },
      [
        ["run", "env", "0"],
        ["run", "env", "0", "a"],
      ],
    ],
    ["unknown", { a: unknownNumber, b: secret(unknownValue) }, { a: unknownValue, b: unknownValue }, [["b"]]],
    ["output", { a: output({ value: 1, secret: true }), b: output({}) }, { a: 1, b: unknownValue }, [["a"]]],
    ["nulls and closures", { a: null, __provider: "text", b: { __defaults: [] } }, { b: {} }, []],
  ];
  for (const [name, wire, props, secrets] of rows) assert.deepEqual(decode(wire), { props, secrets }, name);
  assert.deepEqual(decode(undefined), { props: {}, secrets: [] });
});

test("encode: what was secret is secret again, what is undefined is left out", () => {
  assert.deepEqual(
    encode({ a: 1, b: undefined, c: { d: ["x", "y"] }, token: "t" }, [["token"], ["c", "d", "1"], ["none"]]),
    {
      a: 1,
      c: { d: ["x", secret("y")] },
      token: secret("t"),
    },
  );
});

test("what is decoded and encoded is what it was", () => {
  const wire = { a: secret({ b: [1, 2] }), c: [{ d: secret("x") }], e: unknownValue };
  const { props, secrets } = decode(wire);
  assert.deepEqual(encode(props, secrets), wire);
});
