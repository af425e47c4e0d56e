/** What resource classes need of the specifications without the schemas: a program neither loads nor type-checks zod for it. */

/** How traffic to another datacenter goes. @see the resources' documentation of `meshGateway`. */
export const meshGatewayModes = ["none", "local", "remote"] as const;
export type MeshGatewayMode = (typeof meshGatewayModes)[number];

/** The eight lower-case hexadecimal characters that tell one mesh from another on the same machine. */
export const meshIdPattern = /^[0-9a-f]{8}$/;

/** Whose a resource is; written by the constructors, never by users. Only a unit with the same four is adopted. */
export interface OwnerSpec {
  project: string;
  stack: string;
  /** Logical name. */
  resource: string;
  /** The mesh's id. */
  mesh: string;
}
