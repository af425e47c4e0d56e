/** URI names of a certificate as Node prints them, and attempts to smuggle one in. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { peerFromCertificate, urisOf } from "./peer.ts";

const rows: readonly (readonly [string, readonly string[]])[] = [
  ["", []],
  ["URI:spiffe://x/a", ["spiffe://x/a"]],
  ["DNS:web, URI:spiffe://x/a, IP Address:127.0.0.1, URI:spiffe://x/b", ["spiffe://x/a", "spiffe://x/b"]],
  ['DNS:"web, URI:spiffe://x/admin"', []],
  ['URI:"spiffe://x/a, URI:spiffe://x/admin"', ["spiffe://x/a, URI:spiffe://x/admin"]],
  ['DNS:"unfinished, URI:spiffe://x/a', []],
];

for (const [text, uris] of rows) test(`uris of ${text || "nothing"}`, () => assert.deepEqual(urisOf(text), uris));

test("no certificate is no peer", () => {
  assert.equal(peerFromCertificate(undefined), undefined);
  assert.equal(peerFromCertificate({}), undefined);
});
