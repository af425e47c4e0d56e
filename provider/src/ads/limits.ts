/** Bounds on what clients of the xDS server can take. */

export interface XdsLimits {
  /** Largest message taken from a client. @default 262144 (the node of an Envoy is 61 KB) */
  readonly maxMessageBytes: number;
  /** Streams on one connection. @default 16 */
  readonly maxStreamsPerConnection: number;
  /** Streams of one proxy and one service. @default 4 */
  readonly maxStreamsPerProxy: number;
  /** Connections from one address. @default 512 */
  readonly maxConnectionsPerAddress: number;
  /** Connections in all. @default 16384 */
  readonly maxConnections: number;
  /** Resource types asked for on one stream. @default 16 */
  readonly maxTypesPerStream: number;
  /** Names asked for on one stream, all types together. @default 20000 */
  readonly maxNamesPerStream: number;
  /** A new stream must have said who it is by then. @default 10000 */
  readonly firstMessageTimeoutMs: number;
  /** A client that neither reads nor answers for so long is cut. @default 60000 */
  readonly stuckTimeoutMs: number;
  /** Silence after which the server asks whether the client lives. @default 30000 */
  readonly keepaliveTimeMs: number;
  /** Time for the answer to that. @default 10000 */
  readonly keepaliveTimeoutMs: number;
  /** Age at which a connection is closed, so that the client shakes hands anew with its newest certificate. @default 3600000 */
  readonly maxConnectionAgeMs: number;
  /** Time for a TLS handshake. @default 10000 */
  readonly handshakeTimeoutMs: number;
}

export const defaultLimits: XdsLimits = {
  maxMessageBytes: 256 * 1024,
  maxStreamsPerConnection: 16,
  maxStreamsPerProxy: 4,
  maxConnectionsPerAddress: 512,
  maxConnections: 16_384,
  maxTypesPerStream: 16,
  maxNamesPerStream: 20_000,
  firstMessageTimeoutMs: 10_000,
  stuckTimeoutMs: 60_000,
  keepaliveTimeMs: 30_000,
  keepaliveTimeoutMs: 10_000,
  maxConnectionAgeMs: 3_600_000,
  handshakeTimeoutMs: 10_000,
};
