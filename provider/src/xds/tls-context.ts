/** TLS of the mesh: both ends are our Envoys, so it is TLS 1.3 and nothing else, with secrets from the stream. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TransportSocketSchema } from "../gen/envoy/config/core/v3/base_pb.ts";
import { TlsParameters_TlsProtocol } from "../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import {
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { fromStream, packed } from "./config-source.ts";
import { callersSecret, leafSecret } from "./resource-names.ts";

const socketName = "envoy.transport_sockets.tls";

/** The public listener's side. */
export function acceptCallers(): MessageInitShape<typeof TransportSocketSchema> {
  const typedConfig = packed(DownstreamTlsContextSchema, {
    commonTlsContext: common(callersSecret),
    requireClientCertificate: true,
    // A resumed session would carry an identity past a list that was narrowed since.
    sessionTicketKeysType: { case: "disableStatelessSessionResumption", value: true },
    disableStatefulSessionResumption: true,
  });
  return { name: socketName, configType: { case: "typedConfig", value: typedConfig } };
}

/** An upstream cluster's side; the SNI is what gateways route by. */
export function dialDestination(sni: string, secret: string): MessageInitShape<typeof TransportSocketSchema> {
  const typedConfig = packed(UpstreamTlsContextSchema, { commonTlsContext: common(secret), sni, maxSessionKeys: 0 });
  return { name: socketName, configType: { case: "typedConfig", value: typedConfig } };
}

function common(validationSecret: string): MessageInitShape<typeof CommonTlsContextSchema> {
  return {
    // Both bounds: Envoy's own maximum for a client is 1.2, and the minimum alone leaves it no version.
    tlsParams: {
      tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
      tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
    },
    tlsCertificateSdsSecretConfigs: [{ name: leafSecret, sdsConfig: fromStream }],
    validationContextType: {
      case: "validationContextSdsSecretConfig",
      value: { name: validationSecret, sdsConfig: fromStream },
    },
  };
}
