/** What a mesh id looks like. Apart from the schemas, so that a program need not load them. */

/** The eight lower-case hexadecimal characters that tell one mesh from another on the same machine. */
export const meshIdPattern = /^[0-9a-f]{8}$/;
