/** Envoy's bootstrap: how a proxy finds its control plane, by mutual TLS, and nothing about the mesh itself. */

import { identitySecret } from "../model/identity-file.ts";
import type { BootstrapInput } from "../model/proxy-snapshot.ts";
import { isIpLiteral } from "./address.ts";

const controlPlaneCluster = "control_plane";

/** Counters and gauges that are kept, by how their names end; every other one would cost memory for nobody. */
const keptSuffixes = [
  ".upstream_cx_total",
  ".upstream_cx_active",
  ".upstream_cx_connect_fail",
  ".membership_healthy",
  ".membership_total",
  ".downstream_cx_total",
  ".downstream_cx_active",
  ".ssl.fail_verify_san",
  ".ssl.fail_verify_no_cert",
  ".rbac.allowed",
  ".rbac.denied",
];

const keptPrefixes = ["control_plane.", "listener_manager.", "cluster_manager.", "server.state", "server.live"];

/**
 * Envoy refuses patterns of more than 100 instructions unless told otherwise; a caller with a long name has more, and so
 * has a list of denied callers.
 */
const runtimeValues = { "re2.max_program_size.error_level": 1_000_000, "re2.max_program_size.warn_level": 1_000_000 };

/** The bootstrap as JSON in Envoy's field names. Equal inputs give equal JSON. */
export function bootstrap(input: BootstrapInput): Readonly<Record<string, unknown>> {
  return {
    node: {
      id: input.proxyId,
      cluster: input.service,
      metadata: { datacenter: input.datacenter, kind: input.kind },
    },
    admin: { address: { pipe: { path: input.adminSocket, mode: 0o600 } } },
    dynamic_resources: {
      ads_config: { ...stream("DELTA_GRPC"), set_node_on_first_message_only: true },
      cds_config: fromStream,
      lds_config: fromStream,
    },
    hds_config: stream("GRPC"),
    static_resources: { clusters: [controlPlane(input)] },
    layered_runtime: { layers: [{ name: "static", static_layer: runtimeValues }] },
    stats_config: {
      use_all_default_tags: false,
      stats_matcher: {
        inclusion_list: {
          patterns: [...keptPrefixes.map((prefix) => ({ prefix })), ...keptSuffixes.map((suffix) => ({ suffix }))],
        },
      },
    },
  };
}

const fromStream = { ads: {}, resource_api_version: "V3" };

/** Short back-off: a proxy is back within half a second of its control plane. */
function stream(apiType: "DELTA_GRPC" | "GRPC") {
  const retry = { retry_back_off: { base_interval: "0.05s", max_interval: "0.5s" } };
  return {
    api_type: apiType,
    transport_api_version: "V3",
    grpc_services: [{ envoy_grpc: { cluster_name: controlPlaneCluster, retry_policy: retry } }],
  };
}

function controlPlane(input: BootstrapInput) {
  const { address, port } = input.controlPlane;
  const endpoint = { address: { socket_address: { address, port_value: port } } };
  return {
    name: controlPlaneCluster,
    type: isIpLiteral(address) ? "STATIC" : "STRICT_DNS",
    connect_timeout: "2s",
    load_assignment: {
      cluster_name: controlPlaneCluster,
      endpoints: [{ lb_endpoints: [{ endpoint }] }],
    },
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config: {
          // Finds a control plane that is gone without a word.
          http2_protocol_options: { connection_keepalive: { interval: "10s", timeout: "5s" } },
        },
      },
    },
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni: input.controlPlane.serverName,
        common_tls_context: tlsContext(input),
      },
    },
  };
}

function tlsContext(input: BootstrapInput) {
  const folder = input.identityFile.slice(0, input.identityFile.lastIndexOf("/")) || "/";
  return {
    tls_params: { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_3" },
    alpn_protocols: ["h2"],
    tls_certificate_sds_secret_configs: [
      {
        name: identitySecret,
        sds_config: {
          path_config_source: { path: input.identityFile, watched_directory: { path: folder } },
          resource_api_version: "V3",
        },
      },
    ],
    validation_context: {
      trusted_ca: { inline_string: input.controlRoot },
      match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: input.controlPlane.serverName } }],
    },
  };
}
