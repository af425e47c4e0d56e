/** Who may open an xDS stream: the certificate must be known, be this proxy's, and its token must still be good. */
import type { Authenticator, Peer } from "../ads/source.ts";
import type { Authorizer } from "../model/authorizer.ts";
import { MeshError } from "../model/errors.ts";
import type { ProxyIdentityRecord, ServiceRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";

export interface AuthenticatorDeps {
  readonly store: Store;
  readonly proxy: (id: string) => ServiceRecord | undefined;
  /** Undefined once the token is gone. */
  readonly byAccessor: (accessor: string) => Authorizer | undefined;
  /** Calls the listener after tokens or policies changed. */
  readonly onTokensChanged: (listener: () => void) => () => void;
  /** The URI that a proxy's client certificate carries. */
  readonly uri: (proxyId: string) => string;
}

export function createAuthenticator(deps: AuthenticatorDeps): Authenticator {
  const refusal = (identity: ProxyIdentityRecord): string | undefined => {
    const proxy = deps.proxy(identity.ProxyID);
    if (!proxy) return `proxy "${identity.ProxyID}" is not registered`;
    const authorizer = deps.byAccessor(identity.TokenAccessor);
    if (!authorizer) return `the token behind proxy "${identity.ProxyID}" is gone; give it a new one`;
    const service = serviceOf(proxy);
    if (!authorizer.serviceWrite(service))
      return `the token behind proxy "${identity.ProxyID}" has no service:write on "${service}"`;
    return undefined;
  };

  return {
    authenticate: (peer: Peer, nodeId: string): string => {
      const identity = deps.store.get("proxy-identity", peer.fingerprint256)?.value;
      if (!identity)
        throw new MeshError("unauthenticated", "the client certificate is not known here; ask for a new identity");
      if (identity.ProxyID !== nodeId || !peer.uris.includes(deps.uri(nodeId))) {
        throw new MeshError("permission_denied", `the client certificate is not that of proxy "${nodeId}"`);
      }
      const reason = refusal(identity);
      if (reason) throw new MeshError("permission_denied", reason);
      return identity.ProxyID;
    },
    onRevoked: (listener) => {
      const stopStore = deps.store.subscribe((commit) => {
        for (const record of commit.deleted) {
          if (record.kind === "proxy-identity") listener((record.value as ProxyIdentityRecord).ProxyID);
          if (record.kind === "service") listener((record.value as ServiceRecord).ID);
        }
      });
      const stopTokens = deps.onTokensChanged(() => {
        for (const { value } of deps.store.list("proxy-identity")) {
          if (refusal(value)) listener(value.ProxyID);
        }
      });
      return () => {
        stopStore();
        stopTokens();
      };
    },
  };
}

/** The service whose write permission a proxy needs: the one it stands for, or a gateway's own name. */
export function serviceOf(proxy: ServiceRecord): string {
  return proxy.Kind === "connect-proxy" ? (proxy.Proxy?.DestinationServiceName ?? proxy.Service) : proxy.Service;
}
