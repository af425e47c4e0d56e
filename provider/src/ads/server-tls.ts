/** TLS of the xDS server: mutual, version 1.3 only, with certificates that can be replaced while it runs. */
import { ServerCredentials } from "@grpc/grpc-js";

/** PEM texts. */
export interface XdsTls {
  /** Own certificate first. */
  readonly cert: string;
  readonly key: string;
  /** Roots that client certificates must lead to. */
  readonly clientCa: string;
}

function contextOptions(tls: XdsTls) {
  return {
    cert: Buffer.from(tls.cert),
    key: Buffer.from(tls.key),
    ca: Buffer.from(tls.clientCa),
    minVersion: "TLSv1.3" as const,
  };
}

/** Server credentials that demand a client certificate. */
export class MutualTlsCredentials extends ServerCredentials {
  constructor(tls: XdsTls, limits: { readonly maxStreams: number; readonly handshakeTimeoutMs: number }) {
    super(
      {
        requestCert: true,
        rejectUnauthorized: true,
        handshakeTimeout: limits.handshakeTimeoutMs,
        settings: { maxConcurrentStreams: limits.maxStreams, maxHeaderListSize: 16 * 1024 },
      },
      contextOptions(tls),
    );
  }

  /** New handshakes use these from now on; open connections and their streams stay. */
  replace(tls: XdsTls): void {
    this.updateSecureContextOptions(contextOptions(tls));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}
