/** X.509 for both authorities: keys, certificates, requests. ECDSA P-256 only; knows nothing of services or stores. */
import "reflect-metadata";
import type { KeyObject } from "node:crypto";
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, sign, X509Certificate } from "node:crypto";
import { Pkcs10CertificateRequest } from "@peculiar/x509";
import { MeshError } from "../model/errors.ts";
import {
  bitString,
  explicit,
  implicit,
  integer,
  ipAddress,
  octetString,
  oid,
  sequence,
  set,
  time,
  tlv,
  utf8String,
  yes,
} from "./der.ts";

/** A key pair in PEM: PKCS #8 and SPKI. */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** A certificate that signs others, with its key. Made once by {@link loadIssuer}, since reading PEM costs more than signing. */
export interface Issuer {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
  readonly name: Buffer;
  readonly keyId: Buffer;
}

/** From when to when, in milliseconds since the epoch. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Whom an end certificate names: exactly one URI (SPIFFE X.509-SVID §2), or a server's names and addresses. */
export type Subject = { readonly uri: string } | { readonly dns: readonly string[]; readonly ips: readonly string[] };

/** Random bytes for serial numbers; `crypto.randomBytes` outside of tests. */
export type RandomBytes = (size: number) => Uint8Array;

/** How long before now a certificate begins, in milliseconds, for clocks that are behind. */
export const skewMs = 60_000;

/** Largest certificate request that is looked at, in characters of PEM; ours have about 450. */
export const maxCsrChars = 8_192;

const ecdsaWithSha256 = sequence(oid("1.2.840.10045.4.3.2"));
/** Everything of a P-256 SPKI before the point's 64 bytes: named curve, uncompressed. */
const p256Prefix = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex");

/** A new key pair. */
export async function createKeyPair(): Promise<KeyPair> {
  return new Promise((resolve, reject) => {
    generateKeyPair(
      "ec",
      {
        namedCurve: "P-256",
        publicKeyEncoding: { type: "spki", format: "pem" },
        privateKeyEncoding: { type: "pkcs8", format: "pem" },
      },
      (error, publicKey, privateKey) => {
        if (error) reject(error);
        else resolve({ privateKey, publicKey });
      },
    );
  });
}

/** @throws {MeshError} `internal` when the key is not the certificate's, or its subject is not a lone common name. */
export function loadIssuer(certificate: string, privateKey: string): Issuer {
  const parsed = new X509Certificate(certificate);
  const key = createPrivateKey(privateKey);
  if (!parsed.checkPrivateKey(key)) {
    throw new MeshError("internal", `the key of certificate "${parsed.subject}" does not belong to it`);
  }
  const commonName = /^CN=([ -~]+)$/.exec(parsed.subject)?.[1];
  if (commonName === undefined) {
    throw new MeshError(
      "internal",
      `certificate "${parsed.subject}" cannot sign: its subject is not a lone common name`,
    );
  }
  return { certificate: parsed, key, name: nameOf(commonName), keyId: keyId(parsed.publicKey) };
}

/** A self-signed root. `uri` is the trust domain's SPIFFE ID; the control authority has none. */
export async function createRoot(
  params: { readonly keys: KeyPair; readonly commonName: string; readonly uri?: string } & Validity,
  randomBytes: RandomBytes,
): Promise<string> {
  const key = createPrivateKey(params.keys.privateKey);
  const publicKey = parseP256(params.keys.publicKey);
  const name = nameOf(params.commonName);
  const extensions = authorityExtensions(params.uri);
  return certify(
    { name, key, keyId: keyId(publicKey) },
    { ...params, subject: name, publicKey, extensions },
    randomBytes,
  );
}

/** An authority below `issuer` that can sign end certificates only (path length 0). Never outlives the issuer. */
export async function issueIntermediate(
  issuer: Issuer,
  params: { readonly publicKey: string; readonly commonName: string; readonly uri: string } & Validity,
  randomBytes: RandomBytes,
): Promise<string> {
  const publicKey = parseP256(params.publicKey);
  const extensions = authorityExtensions(params.uri, 0);
  const within = clamp(issuer, params);
  return certify(issuer, { ...within, subject: nameOf(params.commonName), publicKey, extensions }, randomBytes);
}

/** An end certificate for TLS, as client and server. Its subject is empty: who it is stands in the SAN alone. Never outlives the issuer. */
export async function issueLeaf(
  issuer: Issuer,
  params: { readonly publicKey: string; readonly subject: Subject } & Validity,
  randomBytes: RandomBytes,
): Promise<string> {
  const publicKey = parseP256(params.publicKey);
  const extensions = [
    extension("2.5.29.19", true, sequence()),
    // digitalSignature
    extension("2.5.29.15", true, bitString(Buffer.of(0x80), 7)),
    // serverAuth, clientAuth
    extension("2.5.29.37", false, sequence(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2"))),
    // Critical, because the subject is empty (RFC 5280 §4.2.1.6).
    alternativeNames(params.subject, true),
  ];
  return certify(issuer, { ...clamp(issuer, params), subject: sequence(), publicKey, extensions }, randomBytes);
}

/** A certificate request, PEM, that proves possession of the key and asks for nothing. */
export async function createCsr(keys: KeyPair, commonName: string): Promise<string> {
  const spki = createPublicKey(keys.publicKey).export({ type: "spki", format: "der" });
  const request = sequence(integer(Buffer.of(0)), nameOf(commonName), spki, explicit(0));
  const signature = await signature256(createPrivateKey(keys.privateKey), request);
  return pem("CERTIFICATE REQUEST", sequence(request, ecdsaWithSha256, bitString(signature)));
}

/**
 * The public key of a request, SPKI PEM, after its signature was verified. Subject, attributes and extensions that it
 * asks for are never read.
 * @throws {MeshError} `invalid` unless it is one PEM block of plain DER, at most {@link maxCsrChars} long, with a P-256
 * key that signed it with SHA-256.
 */
export async function verifyCsr(csr: string): Promise<string> {
  const block = /^\s*-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----\s*$/;
  const body = csr.length > maxCsrChars ? undefined : block.exec(csr)?.[1];
  if (body === undefined) throw badCsr(`it is not one PEM block of at most ${maxCsrChars} characters`);
  const der = Buffer.from(body, "base64");
  if (!isOneDerSequence(der)) throw badCsr("it is not one DER sequence");
  let spki: Buffer;
  try {
    const request = new Pkcs10CertificateRequest(der);
    spki = Buffer.from(request.publicKey.rawData);
    parseP256(spki);
    const { name, hash }: { readonly name?: string; readonly hash?: { readonly name: string } } =
      request.signatureAlgorithm;
    if (name !== "ECDSA" || hash?.name !== "SHA-256") throw badCsr("it is not signed with ECDSA and SHA-256");
    if (!(await request.verify())) throw badCsr("its signature does not fit its key");
  } catch (error) {
    // The parser throws errors of many kinds; a hostile request must not tell them apart.
    if (error instanceof MeshError) throw error;
    throw badCsr("it cannot be read");
  }
  return pem("PUBLIC KEY", spki);
}

/** @throws {MeshError} `invalid` when a public key (SPKI, PEM or DER) is not a P-256 point in the usual form. */
export function parseP256(publicKey: string | Buffer): KeyObject {
  const pemBody = /^\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]{1,200})-----END PUBLIC KEY-----\s*$/;
  const der = typeof publicKey === "string" ? Buffer.from(pemBody.exec(publicKey)?.[1] ?? "", "base64") : publicKey;
  try {
    // OpenSSL checks that the point lies on the curve.
    const usual = der.length === 91 && der.subarray(0, 27).equals(p256Prefix);
    if (usual) return createPublicKey({ key: der, format: "der", type: "spki" });
  } catch {
    // Falls through: whatever OpenSSL says of it, it is not a key of ours.
  }
  throw new MeshError("invalid", "the public key is not an ECDSA P-256 key in SPKI form: make it with that curve");
}

/** SHA-256 of the DER, `AA:BB:…`, as Node's `fingerprint256`. */
export function fingerprint256(certificate: string): string {
  return new X509Certificate(certificate).fingerprint256;
}

/** The certificate's id as Consul gives it to roots: SHA-1 of the DER, `aa:bb:…`. A name, not a proof. */
export function certificateId(certificate: string): string {
  return new X509Certificate(certificate).fingerprint.toLowerCase();
}

/** Consul's SigningKeyID: the subject key id, `aa:bb:…`. */
export function signingKeyId(certificate: string): string {
  return colons(keyId(new X509Certificate(certificate).publicKey));
}

/** Serial number, `aa:bb:…`, and validity of a certificate. */
export function describe(certificate: string): Validity & { readonly serialNumber: string } {
  const parsed = new X509Certificate(certificate);
  return {
    serialNumber: colons(Buffer.from(parsed.serialNumber, "hex")),
    notBeforeMs: parsed.validFromDate.getTime(),
    notAfterMs: parsed.validToDate.getTime(),
  };
}

/** True when `issuer`'s key signed `certificate` and the names fit. Says nothing of validity. */
export function isIssuedBy(certificate: string, issuer: string): boolean {
  const child = new X509Certificate(certificate);
  const parent = new X509Certificate(issuer);
  return parent.ca && child.checkIssued(parent) && child.verify(parent.publicKey);
}

/** True when the private key is the certificate's. */
export function isKeyOf(certificate: string, privateKey: string): boolean {
  return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey));
}

function badCsr(reason: string): MeshError {
  return new MeshError("invalid", `certificate request refused: ${reason}`);
}

/** One definite-length SEQUENCE in shortest form that ends where the bytes end. */
function isOneDerSequence(der: Buffer): boolean {
  const first = der[1] ?? 0xff;
  if (der[0] !== 0x30 || first === 0x80 || first > 0x82) return false;
  if (first < 0x80) return der.length === 2 + first;
  const length = first === 0x81 ? (der[2] ?? 0) : der.length < 4 ? 0 : der.readUInt16BE(2);
  return length >= (first === 0x81 ? 0x80 : 0x100) && der.length === 2 + (first & 0x7f) + length;
}

function authorityExtensions(uri: string | undefined, pathLength?: number): Buffer[] {
  const constraints = pathLength === undefined ? sequence(yes) : sequence(yes, integer(Buffer.of(pathLength)));
  return [
    extension("2.5.29.19", true, constraints),
    // keyCertSign, cRLSign
    extension("2.5.29.15", true, bitString(Buffer.of(0x06), 1)),
    ...(uri === undefined ? [] : [alternativeNames({ uri }, false)]),
  ];
}

function alternativeNames(subject: Subject, critical: boolean): Buffer {
  const names =
    "uri" in subject
      ? [implicit(6, ascii(subject.uri))]
      : [
          ...subject.dns.map((name) => implicit(2, ascii(name))),
          ...subject.ips.map((ip) => implicit(7, ipAddress(ip))),
        ];
  return extension("2.5.29.17", critical, sequence(...names));
}

function ascii(text: string): Buffer {
  if (!/^[!-~]{1,2048}$/.test(text))
    throw new MeshError("invalid", `"${text.slice(0, 80)}" cannot be a name in a certificate`);
  return Buffer.from(text, "latin1");
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return critical ? sequence(oid(id), yes, octetString(value)) : sequence(oid(id), octetString(value));
}

function nameOf(commonName: string): Buffer {
  return sequence(set(sequence(oid("2.5.4.3"), utf8String(commonName))));
}

function keyId(publicKey: KeyObject): Buffer {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest();
}

function clamp(issuer: Issuer, validity: Validity): Validity {
  const { validFromDate, validToDate } = issuer.certificate;
  return {
    notBeforeMs: Math.max(validity.notBeforeMs, validFromDate.getTime()),
    notAfterMs: Math.min(validity.notAfterMs, validToDate.getTime()),
  };
}

async function certify(
  issuer: Pick<Issuer, "name" | "key" | "keyId">,
  body: { readonly subject: Buffer; readonly publicKey: KeyObject; readonly extensions: readonly Buffer[] } & Validity,
  randomBytes: RandomBytes,
): Promise<string> {
  if (body.notAfterMs <= body.notBeforeMs) {
    throw new MeshError("unavailable", "cannot sign: the signing certificate has expired, or the clock is wrong");
  }
  // 127 random bits, positive and never zero.
  const serial = Buffer.from(randomBytes(16));
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const content = sequence(
    explicit(0, integer(Buffer.of(2))),
    integer(serial),
    ecdsaWithSha256,
    issuer.name,
    sequence(time(body.notBeforeMs), time(body.notAfterMs)),
    body.subject,
    body.publicKey.export({ type: "spki", format: "der" }),
    explicit(
      3,
      sequence(
        ...body.extensions,
        extension("2.5.29.14", false, octetString(keyId(body.publicKey))),
        extension("2.5.29.35", false, sequence(tlv(0x80, issuer.keyId))),
      ),
    ),
  );
  const signature = await signature256(issuer.key, content);
  return pem("CERTIFICATE", sequence(content, ecdsaWithSha256, bitString(signature)));
}

async function signature256(key: KeyObject, content: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign("sha256", content, key, (error, signature) => {
      if (error) reject(error);
      else resolve(signature);
    });
  });
}

function pem(label: string, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${der.toString("base64").replaceAll(/.{64}(?!$)/g, "$&\n")}\n-----END ${label}-----\n`;
}

function colons(bytes: Buffer): string {
  return bytes.toString("hex").replaceAll(/..(?!$)/g, "$&:");
}
