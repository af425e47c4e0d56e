/** Who the client of a TLS connection is, from its certificate as Node shows it. Pure. */
import type { Peer } from "./source.ts";

/** The parts of a `tls.PeerCertificate` that say who the client is. */
export interface PresentedCertificate {
  readonly fingerprint256?: string;
  readonly subjectaltname?: string;
}

/** The peer of a verified client certificate; undefined when there is none. */
export function peerFromCertificate(certificate: PresentedCertificate | undefined): Peer | undefined {
  if (!certificate?.fingerprint256) return undefined;
  return { fingerprint256: certificate.fingerprint256, uris: urisOf(certificate.subjectaltname ?? "") };
}

// An entry is `TYPE:value`. Node quotes a value as a JSON string when it holds anything that could be taken for another entry.
const entry = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/** URI entries of a subject alternative name; none at all when a part of it is not understood. */
export function urisOf(subjectAltName: string): readonly string[] {
  const uris: string[] = [];
  entry.lastIndex = 0;
  while (entry.lastIndex < subjectAltName.length) {
    const match = entry.exec(subjectAltName);
    if (!match) return [];
    const value = match[2]!;
    if (match[1] === "URI") uris.push(value.startsWith('"') ? String(JSON.parse(value)) : value);
  }
  return uris;
}
