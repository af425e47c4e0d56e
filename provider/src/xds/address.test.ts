import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { isIpLiteral } from "./address.ts";

const cases: readonly (readonly [address: string, literal: boolean])[] = [
  ["127.0.0.1", true],
  ["0.0.0.0", true],
  ["255.255.255.255", true],
  ["::", true],
  ["::1", true],
  ["2001:db8::7", true],
  ["::ffff:10.0.0.1", true],
  ["", false],
  ["localhost", false],
  ["256.0.0.1", false],
  ["1.2.3", false],
  ["1.2.3.4.", false],
  ["01.2.3.4", false],
  ["fe80::1%eth0", false],
  ["[::1]", false],
  ["1:2", false],
  ["::1]/x[", false],
  ["12345::", false],
];
for (const [address, literal] of cases) {
  test(`${JSON.stringify(address)} is ${literal ? "" : "no "}IP address`, () =>
    assert.equal(isIpLiteral(address), literal));
}

test("agrees with Node on whatever has no zone", () => {
  const text = fc.string({ unit: fc.constantFrom(..."0123456789af:."), maxLength: 20 });
  fc.assert(
    fc.property(fc.oneof(text, fc.ipV4(), fc.ipV6()), (address) => isIpLiteral(address) === (isIP(address) !== 0)),
    { numRuns: 2000, seed: 4 },
  );
});
