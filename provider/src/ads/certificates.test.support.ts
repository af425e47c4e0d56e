/** A throw-away CA for tests: certificates with any subject alternative names, ECDSA P-256. */
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** PEM texts. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface TestCa {
  readonly root: string;
  issue(names: readonly JsonGeneralName[]): Promise<Pair>;
}

const hour = 3_600_000;

export async function createTestCa(name: string): Promise<TestCa> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const validity = { notBefore: new Date(Date.now() - hour), notAfter: new Date(Date.now() + hour) };
  const root = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
    ...validity,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  let serial = 1;
  return {
    root: root.toString("pem"),
    async issue(names) {
      const own = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
      serial += 1;
      const cert = await X509CertificateGenerator.create({
        serialNumber: serial.toString(16).padStart(4, "0"),
        subject: "CN=test",
        issuer: root.subject,
        signingKey: keys.privateKey,
        publicKey: own.publicKey,
        signingAlgorithm: algorithm,
        ...validity,
        extensions: [
          new SubjectAlternativeNameExtension([...names]),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        ],
      });
      const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", own.privateKey);
      return { cert: cert.toString("pem"), key: PemConverter.encode(pkcs8, "PRIVATE KEY") };
    },
  };
}
