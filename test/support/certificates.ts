/** A throw-away CA for tests: a root and leaves with SPIFFE URIs, made at run time so that no key lies in the tree. */
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 86_400_000) };

export interface TestLeaf {
  /** PEM. */
  readonly chain: string;
  /** PKCS #8 PEM. */
  readonly privateKey: string;
}

export interface TestAuthority {
  /** PEM. */
  readonly root: string;
  leaf(uri: string): Promise<TestLeaf>;
}

export async function createTestAuthority(): Promise<TestAuthority> {
  const keys = await generateKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=test root",
    ...validity,
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return {
    root: `${root.toString("pem")}\n`,
    leaf: async (uri) => {
      const own = await generateKeys();
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: "02",
        subject: "",
        issuer: root.subject,
        ...validity,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        extensions: [new x509.SubjectAlternativeNameExtension([{ type: "url", value: uri }], true)],
      });
      const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", own.privateKey));
      return {
        chain: `${certificate.toString("pem")}\n`,
        privateKey: `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`,
      };
    },
  };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}
