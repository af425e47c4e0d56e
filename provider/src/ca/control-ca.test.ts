/** The control CA: one root per datacenter that survives a restart, server and client certificates, renewal. */
import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { createMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { systemClock } from "./clock.ts";
import type { ServerCertificate } from "./control-ca.ts";
import { controlServerName, createControlCa } from "./control-ca.ts";
import { createKeyPair, fingerprint256, isIssuedBy, isKeyOf } from "./x509.ts";

const create = (store: Store, serverTtlSeconds?: number) =>
  createControlCa({
    store,
    mesh: "m1",
    datacenter: "dc1",
    clock: systemClock,
    random: Math.random,
    randomBytes,
    onError: (error) => assert.fail(error),
    ...(serverTtlSeconds === undefined ? {} : { serverTtlSeconds }),
  });

test("the root is made once, under a race too", async () => {
  const store = createMemoryStore();
  const [first, second] = await Promise.all([create(store), create(store)]);
  const third = await create(store);
  assert.equal(first.root, second.root);
  assert.equal(first.root, third.root);
  assert.equal(store.list("signer").length, 1);
});

test("server certificates carry the given names and the root's signature", async () => {
  const authority = await create(createMemoryStore());
  const name = controlServerName("dc1", "m1");
  assert.equal(name, "server.dc1.m1.isthmus");
  const { chain, privateKey } = await authority.serverCertificate([name, "localhost"], ["127.0.0.1"], () => {});
  const certificate = new X509Certificate(chain);
  assert.ok(certificate.checkHost(name) && certificate.checkHost("localhost") && certificate.checkIP("127.0.0.1"));
  assert.ok(isIssuedBy(chain, authority.root) && isKeyOf(chain, privateKey));
  authority.close();
});

test("server certificates are renewed before they end", async () => {
  const authority = await create(createMemoryStore(), 1);
  const renewed = Promise.withResolvers<ServerCertificate>();
  const keepAlive = setTimeout(() => renewed.reject(new Error("no renewal within five seconds")), 5_000);
  const first = await authority.serverCertificate(["a"], [], renewed.resolve);
  const second = await renewed.promise;
  clearTimeout(keepAlive);
  assert.ok(Date.now() < first.notAfterMs);
  assert.notEqual(second.chain, first.chain);
  authority.close();
});

test("client certificates name the proxy and hold its own key", async () => {
  const authority = await create(createMemoryStore());
  const keys = await createKeyPair();
  const made = await authority.clientCertificate("web-sidecar-proxy", keys.publicKey);
  const certificate = new X509Certificate(made.chain);
  assert.equal(certificate.subjectAltName, "URI:spiffe://m1.control/dc/dc1/proxy/web-sidecar-proxy");
  assert.equal(made.fingerprint256, fingerprint256(made.chain));
  assert.ok(isKeyOf(made.chain, keys.privateKey) && isIssuedBy(made.chain, authority.root));
  const days = (Date.parse(made.notAfter) - Date.now()) / 86_400_000;
  assert.ok(days > 364 && days <= 365);
  for (const id of ["", "..", "a/b", "a b", "x".repeat(257)]) {
    await assert.rejects(authority.clientCertificate(id, keys.publicKey), { code: "invalid" });
  }
  await assert.rejects(authority.clientCertificate("web", keys.privateKey), { code: "invalid" });
});
