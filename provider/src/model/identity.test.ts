/** SPIFFE ids: parse is the inverse of format, and nothing else parses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseSpiffeId, spiffeId } from "./identity.ts";

const trustDomain = "11111111-2222-3333-4444-555555555555.consul";

test("parse undoes format", () => {
  const label = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,20}$/);
  fc.assert(
    fc.property(label, label, (datacenter, service) => {
      const identity = { trustDomain, datacenter, service };
      assert.deepEqual(parseSpiffeId(spiffeId(identity)), identity);
    }),
  );
});

for (const bad of [
  "",
  "https://x/ns/default/dc/dc1/svc/web",
  `spiffe://${trustDomain}/ns/other/dc/dc1/svc/web`,
  `spiffe://${trustDomain}/ns/default/dc/dc1/svc/web/`,
  `spiffe://${trustDomain}/ns/default/dc/../svc/web`,
  `spiffe://${trustDomain}/ns/default/dc/dc1/svc/web?x`,
  `spiffe://${trustDomain}/ns/default/dc/dc1/svc/`,
]) {
  test(`refuses "${bad}"`, () => assert.equal(parseSpiffeId(bad), undefined));
}
