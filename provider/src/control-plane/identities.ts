/** Client certificates of proxies: signs one, remembers its fingerprint, forgets the ones it replaced. */

import { MeshError } from "../model/errors.ts";
import type { IdentityRequest, IdentityResponse } from "../model/isthmus-api.ts";
import type { BootstrapInput } from "../model/proxy-snapshot.ts";
import type { ServiceRecord } from "../model/records.ts";
import type { Change, Store } from "../store/store.ts";
import { serviceOf } from "./authenticator.ts";

export interface IdentitiesDeps {
  readonly store: Store;
  readonly datacenter: string;
  readonly proxy: (id: string) => ServiceRecord | undefined;
  readonly clientCertificate: (
    proxyId: string,
    publicKey: string,
  ) => Promise<{ readonly chain: string; readonly fingerprint256: string; readonly notAfter: string }>;
  readonly controlRoot: string;
  readonly controlPlane: BootstrapInput["controlPlane"];
  readonly bootstrap: (input: BootstrapInput) => unknown;
}

/**
 * Signs the proxy's key and writes its bootstrap. The identity before this one stays good, so that the proxy is not cut
 * off while it takes up the new one; older ones end here.
 * @throws {MeshError} `not_found` for a proxy that is not registered
 */
export async function issueIdentity(
  deps: IdentitiesDeps,
  proxyId: string,
  request: IdentityRequest,
  tokenAccessor: string,
): Promise<IdentityResponse> {
  const proxy = deps.proxy(proxyId);
  if (!proxy)
    throw new MeshError("not_found", `proxy "${proxyId}" is not registered in "${deps.datacenter}"; register it first`);
  const certificate = await deps.clientCertificate(proxyId, request.PublicKey);
  const former = deps.store
    .list("proxy-identity")
    .filter((record) => record.value.ProxyID === proxyId)
    .sort((a, b) => b.createIndex - a.createIndex);
  const changes: Change[] = former
    .slice(1)
    .map((record) => ({ op: "delete", kind: "proxy-identity", key: record.key }) as const);
  changes.push({
    op: "set",
    kind: "proxy-identity",
    key: certificate.fingerprint256,
    value: {
      Fingerprint: certificate.fingerprint256,
      ProxyID: proxyId,
      TokenAccessor: tokenAccessor,
      NotAfter: certificate.notAfter,
    },
  });
  await deps.store.txn(changes);
  return {
    CertificateChain: certificate.chain,
    NotAfter: certificate.notAfter,
    Bootstrap: deps.bootstrap({
      proxyId,
      service: serviceOf(proxy),
      kind: proxy.Kind === "mesh-gateway" ? "mesh-gateway" : "connect-proxy",
      datacenter: deps.datacenter,
      controlPlane: deps.controlPlane,
      controlRoot: deps.controlRoot,
      identityFile: request.IdentityFile,
      adminSocket: request.AdminSocket,
    }),
  };
}
