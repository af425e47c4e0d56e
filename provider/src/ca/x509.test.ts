/** Certificates and requests, read by a second reader (openssl) and attacked with bad requests. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ipAddress } from "./der.ts";
import {
  createCsr,
  createKeyPair,
  createRoot,
  describe,
  issueIntermediate,
  issueLeaf,
  loadIssuer,
  parseP256,
  signingKeyId,
  verifyCsr,
} from "./x509.ts";

const directory = mkdtempSync(join(tmpdir(), "isthmus-x509-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
};
const openssl = (...args: string[]): string =>
  execFileSync("openssl", args, { encoding: "utf8", cwd: directory, stdio: "pipe" });

const now = Date.now();
const validity = { notBeforeMs: now - 60_000, notAfterMs: now + 3_600_000 };
const domain = "spiffe://11111111-2222-3333-4444-555555555555.consul";
const uri = `${domain}/ns/default/dc/dc2/svc/web`;

const rootKeys = await createKeyPair();
const root = await createRoot({ keys: rootKeys, commonName: "root", uri: domain, ...validity }, randomBytes);
const middleKeys = await createKeyPair();
const middle = await issueIntermediate(
  loadIssuer(root, rootKeys.privateKey),
  { publicKey: middleKeys.publicKey, commonName: "middle", uri: domain, ...validity, notAfterMs: now + 1e12 },
  randomBytes,
);
const leafKeys = await createKeyPair();
const leaf = await issueLeaf(
  loadIssuer(middle, middleKeys.privateKey),
  { publicKey: leafKeys.publicKey, subject: { uri }, ...validity },
  randomBytes,
);

test("openssl verifies the chain in strict mode, for client and server", () => {
  const rootFile = file("root.pem", root);
  const middleFile = file("middle.pem", middle);
  const leafFile = file("leaf.pem", leaf);
  for (const purpose of ["sslclient", "sslserver"]) {
    const answer = openssl(
      "verify",
      "-x509_strict",
      "-purpose",
      purpose,
      "-CAfile",
      rootFile,
      "-untrusted",
      middleFile,
      leafFile,
    );
    assert.match(answer, /leaf\.pem: OK/);
  }
});

test("a leaf is an X.509-SVID: one URI, no authority, no key for signing certificates", () => {
  const text = openssl("x509", "-noout", "-text", "-in", file("leaf.pem", leaf));
  assert.match(text, /CA:FALSE/);
  assert.doesNotMatch(text, /Certificate Sign|CRL Sign/);
  assert.match(text, /Digital Signature/);
  assert.match(text, /TLS Web Server Authentication, TLS Web Client Authentication/);
  assert.match(text, /Public-Key: \(256 bit\)/);
  assert.equal(new X509Certificate(leaf).subjectAltName, `URI:${uri}`);
  const authority = openssl("x509", "-noout", "-text", "-in", file("middle.pem", middle));
  assert.match(authority, /CA:TRUE, pathlen:0/);
  assert.match(authority, /Certificate Sign, CRL Sign/);
  assert.match(authority, new RegExp(`URI:${domain}`));
});

test("nothing outlives its issuer and serial numbers differ", async () => {
  assert.equal(describe(middle).notAfterMs, describe(root).notAfterMs);
  const issuer = loadIssuer(root, rootKeys.privateKey);
  const serials = new Set<string>();
  for (let round = 0; round < 20; round += 1) {
    const one = await issueLeaf(issuer, { publicKey: leafKeys.publicKey, subject: { uri }, ...validity }, randomBytes);
    serials.add(describe(one).serialNumber);
  }
  assert.equal(serials.size, 20);
  assert.match(signingKeyId(root), /^([0-9a-f]{2}:){31}[0-9a-f]{2}$/);
});

test("an intermediate of an intermediate does not verify", async () => {
  const keys = await createKeyPair();
  const deeper = await issueIntermediate(
    loadIssuer(middle, middleKeys.privateKey),
    { publicKey: keys.publicKey, commonName: "deeper", uri: domain, ...validity },
    randomBytes,
  );
  const end = await issueLeaf(
    loadIssuer(deeper, keys.privateKey),
    { publicKey: leafKeys.publicKey, subject: { uri }, ...validity },
    randomBytes,
  );
  const chain = file("chain.pem", deeper + middle);
  assert.throws(
    () => openssl("verify", "-CAfile", file("root.pem", root), "-untrusted", chain, file("end.pem", end)),
    /path length/i,
  );
});

test("server certificates carry names and addresses", async () => {
  const issuer = loadIssuer(root, rootKeys.privateKey);
  const subject = { dns: ["server.dc1.mesh.isthmus"], ips: ["127.1.0.1", "fd00::1:2"] };
  const server = new X509Certificate(
    await issueLeaf(issuer, { publicKey: leafKeys.publicKey, subject, ...validity }, randomBytes),
  );
  assert.ok(server.checkHost("server.dc1.mesh.isthmus"));
  assert.ok(server.checkIP("127.1.0.1"));
  assert.ok(server.checkIP("fd00::1:2"));
  assert.throws(() => ipAddress("localhost"), { code: "invalid" });
});

test("dates from 2050 on are read back", async () => {
  const notAfterMs = Date.parse("2061-02-03T04:05:06Z");
  const late = await createRoot({ keys: rootKeys, commonName: "late", notBeforeMs: now, notAfterMs }, randomBytes);
  assert.equal(describe(late).notAfterMs, notAfterMs);
});

test("a request yields its key and nothing else of what it asks for", async () => {
  const keys = await createKeyPair();
  assert.equal(await verifyCsr(await createCsr(keys, "web")), keys.publicKey);
  assert.match(openssl("req", "-verify", "-noout", "-in", file("own.csr", await createCsr(keys, "web"))), /^|OK/);
  const key = file("key.pem", keys.privateKey);
  const asks = [
    "subjectAltName=URI:spiffe://other/ns/default/dc/dc1/svc/admin",
    `subjectAltName=URI:${uri},URI:${domain}/ns/default/dc/dc2/svc/db`,
    `subjectAltName=URI:${uri},DNS:server.dc1.mesh.isthmus`,
    "subjectAltName=IP:127.0.0.1",
    "subjectAltName=email:a@b.example",
    "subjectAltName=otherName:1.2.3.4;UTF8:x",
    `subjectAltName=URI:${domain}/ns/default/dc/dc2/../dc1/svc/web`,
    `subjectAltName=URI:SPIFFE://X/%2e%2e//svc/web/?a#b`,
    `subjectAltName=URI:${domain}/${"a".repeat(2_049)}`,
    "basicConstraints=critical,CA:TRUE",
    "keyUsage=keyCertSign,cRLSign",
    "extendedKeyUsage=anyExtendedKeyUsage",
    "nameConstraints=permitted;DNS:.example",
    "1.2.3.4=DER:0500",
  ];
  for (const ask of asks) {
    const csr = openssl("req", "-new", "-key", key, "-subj", "/CN=admin", "-addext", ask);
    const publicKey = await verifyCsr(csr);
    assert.equal(publicKey, keys.publicKey, ask);
    const made = new X509Certificate(
      await issueLeaf(loadIssuer(root, rootKeys.privateKey), { publicKey, subject: { uri }, ...validity }, randomBytes),
    );
    assert.equal(made.subjectAltName, `URI:${uri}`, ask);
    assert.equal(made.ca, false, ask);
    assert.ok(!made.subject, ask);
  }
});

test("bad requests are refused, each with the same kind of error", async () => {
  const keys = await createKeyPair();
  const good = await createCsr(keys, "web");
  const der = Buffer.from(good.replaceAll(/-----.*-----|\s/g, ""), "base64");
  const wrap = (bytes: Buffer): string =>
    `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  const flipped = Buffer.from(der);
  flipped[flipped.length - 6]! ^= 1;
  const otherKey = Buffer.from(der);
  otherKey[60]! ^= 1;
  const made = (...args: string[]): string => openssl("req", "-new", "-subj", "/CN=web", ...args);
  const keyOf = (name: string, ...args: string[]): string => file(name, openssl(...args));
  const cases: Record<string, string> = {
    empty: "",
    text: "hello",
    "two blocks": good + good,
    "block and junk": `${good}junk`,
    "other label": good.replaceAll("CERTIFICATE REQUEST", "CERTIFICATE"),
    "10 MB": wrap(Buffer.alloc(10_000_000)),
    "flipped signature": wrap(flipped),
    "point not on the curve": wrap(otherKey),
    "trailing bytes": wrap(Buffer.concat([der, Buffer.of(0)])),
    "indefinite length": wrap(Buffer.concat([Buffer.of(0x30, 0x80), der.subarray(3), Buffer.of(0, 0)])),
    "nested 2,900 deep": wrap(Buffer.from("3080".repeat(2_900), "hex")),
    truncated: wrap(der.subarray(0, 80)),
    "rsa 1024": made("-newkey", "rsa:1024", "-nodes", "-keyout", join(directory, "rsa.pem")),
    "p-224": made("-key", keyOf("p224.pem", "ecparam", "-genkey", "-name", "secp224r1", "-noout")),
    secp256k1: made("-key", keyOf("k1.pem", "ecparam", "-genkey", "-name", "secp256k1", "-noout")),
    "explicit curve": made(
      "-key",
      keyOf("explicit.pem", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-param_enc", "explicit"),
    ),
    "sha-1": made("-sha1", "-key", file("sha1.pem", keys.privateKey)),
    "another key's signature": wrap(
      Buffer.concat([
        der.subarray(0, -70),
        Buffer.from((await createCsr(await createKeyPair(), "web")).slice(-140), "base64"),
      ]),
    ),
  };
  for (const [name, csr] of Object.entries(cases)) {
    await assert.rejects(verifyCsr(csr), { name: "MeshError", code: "invalid" }, name);
  }
  assert.throws(() => parseP256(keys.privateKey), { code: "invalid" });
  assert.throws(
    () => parseP256(generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }).toString()),
    { code: "invalid" },
  );
});

test("no mutated request crashes the reader or gets another key in", async () => {
  const keys = await createKeyPair();
  const der = Buffer.from((await createCsr(keys, "web")).replaceAll(/-----.*-----|\s/g, ""), "base64");
  // A generator with a fixed seed, so that a failure can be repeated.
  let state = 42;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
  for (let round = 0; round < 2_000; round += 1) {
    const bytes = Buffer.from(der);
    for (let count = 1 + next(3); count > 0; count -= 1) bytes[next(bytes.length)] = next(256);
    if (bytes.equals(der)) continue;
    const csr = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    await verifyCsr(csr).then(
      // What lies outside of the signed part may be written in more than one way.
      (publicKey) => assert.equal(publicKey, keys.publicKey),
      (error) => assert.equal(error.code, "invalid"),
    );
  }
});
