/** TLS of the federation link: version 1.3 only; the server's certificate can be replaced while it runs. */

import { createSecureContext } from "node:tls";
import { ChannelCredentials, ServerCredentials } from "@grpc/grpc-js";

/** PEM texts, own certificate first. */
export interface ServerKeyPair {
  readonly chain: string;
  readonly privateKey: string;
}

const minVersion = "TLSv1.3";

function contextOptions({ chain, privateKey }: ServerKeyPair) {
  return { cert: Buffer.from(chain), key: Buffer.from(privateKey), minVersion } as const;
}

/** Server credentials without client certificates: secondaries prove themselves by token. */
export class FederationServerCredentials extends ServerCredentials {
  constructor(pair: ServerKeyPair) {
    super(
      { handshakeTimeout: 5_000, settings: { maxConcurrentStreams: 256, maxHeaderListSize: 16_384 } },
      contextOptions(pair),
    );
  }

  /** New handshakes use the pair from now on; open links stay. */
  replace(pair: ServerKeyPair): void {
    this.updateSecureContextOptions(contextOptions(pair));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** Client credentials that trust the pinned root (PEM) alone. */
export function pinnedCredentials(controlRoot: string): ChannelCredentials {
  return ChannelCredentials.createFromSecureContext(createSecureContext({ ca: controlRoot, minVersion }));
}

/** Options of both ends. A dead peer is noticed within five seconds. */
export const linkOptions = {
  "grpc.keepalive_time_ms": 3_000,
  "grpc.keepalive_timeout_ms": 2_000,
  "grpc.keepalive_permit_without_calls": 1,
} as const;
