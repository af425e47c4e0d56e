/** SPIFFE identities of the Connect CA: formatting and parsing. Pure (SPIFFE X.509-SVID; Consul, agent/connect/uri.go). */

/** A service's identity. */
export interface ServiceIdentity {
  readonly trustDomain: string;
  readonly datacenter: string;
  readonly service: string;
}

/** `spiffe://<trust domain>/ns/default/dc/<dc>/svc/<service>` */
export function spiffeId(identity: ServiceIdentity): string {
  return `spiffe://${identity.trustDomain}/ns/default/dc/${identity.datacenter}/svc/${identity.service}`;
}

const pattern = /^spiffe:\/\/([a-z0-9.-]+)\/ns\/default\/dc\/([a-z0-9_-]+)\/svc\/([A-Za-z0-9_.-]+)$/;

/** The inverse of {@link spiffeId}; undefined for anything that is not exactly such an identity. */
export function parseSpiffeId(uri: string): ServiceIdentity | undefined {
  const match = pattern.exec(uri);
  if (!match) return undefined;
  return { trustDomain: match[1]!, datacenter: match[2]!, service: match[3]! };
}
