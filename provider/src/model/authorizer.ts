/** What a token may do, as the servers ask it. Made by `acl/` from policies; every answer is no unless a rule says yes. */

export interface Authorizer {
  /** Accessor of the token; `anonymous` without one, `operator` for the control plane's own socket. */
  readonly accessor: string;
  readonly serviceRead: (name: string) => boolean;
  readonly serviceWrite: (name: string) => boolean;
  /** True when every service may be read (`service_prefix "" { policy = "read" }`). */
  readonly serviceReadAll: () => boolean;
  readonly nodeRead: (name: string) => boolean;
  readonly nodeWrite: (name: string) => boolean;
  /** By destination. */
  readonly intentionRead: (destination: string) => boolean;
  readonly intentionWrite: (destination: string) => boolean;
  readonly aclRead: () => boolean;
  readonly aclWrite: () => boolean;
  readonly operatorRead: () => boolean;
  readonly operatorWrite: () => boolean;
}
