/** Names of what refers to each other inside one proxy's resources. None can be a service's: those all have dots. */

/** The cluster of the application beside a sidecar. A service's cluster is named by its SNI, which has dots. */
export const localAppCluster = "local_app";

/** Secret with the proxy's own leaf. */
export const leafSecret = "leaf";

/** Secret with the roots and the identities that may call this service. */
export const callersSecret = "callers";

/** Extension with the RBAC rules of the public listener. */
export const intentionsExtension = "intentions";

/** Secret with the roots and the one identity that a destination may have. */
export function destinationSecret(sni: string): string {
  return `destination:${sni}`;
}
