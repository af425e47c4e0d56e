/** Secrets: a sidecar's leaf, who may call it, and who its destinations must be. A gateway has none. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DataSourceSchema } from "../gen/envoy/config/core/v3/base_pb.ts";
import { SubjectAltNameMatcher_SanType } from "../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import type { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { CallerDecisions } from "../model/proxy-snapshot.ts";
import { allowedCallers, type Matcher } from "./caller-patterns.ts";

type SecretInit = MessageInitShape<typeof SecretSchema>;

/** The proxy's own certificate and key. */
export function leaf(name: string, input: { readonly chain: string; readonly privateKey: string }): SecretInit {
  return {
    name,
    type: {
      case: "tlsCertificate",
      value: { certificateChain: text(input.chain), privateKey: text(input.privateKey) },
    },
  };
}

/** What a sidecar accepts from who dials it: a certificate of the mesh whose identity may call. */
export function callers(
  name: string,
  input: { readonly roots: readonly string[]; readonly trustDomain: string; readonly callers: CallerInput },
): SecretInit {
  return validation(name, input.roots, allowedCallers(input.trustDomain, input.callers));
}

/** What a sidecar accepts from whom it dials: a certificate of the mesh with exactly this identity. */
export function destination(
  name: string,
  input: { readonly roots: readonly string[]; readonly spiffeId: string },
): SecretInit {
  return validation(name, input.roots, [{ matchPattern: { case: "exact", value: input.spiffeId } }]);
}

/** Caller decisions as plain data. */
export type CallerInput = {
  readonly named: readonly { readonly service: string; readonly allow: boolean }[];
  readonly others: CallerDecisions["others"];
};

function validation(name: string, roots: readonly string[], identities: readonly Matcher[]): SecretInit {
  return {
    name,
    type: {
      case: "validationContext",
      value: {
        trustedCa: text(roots.map((root) => `${root.trim()}\n`).join("")),
        matchTypedSubjectAltNames: identities.map((matcher) => ({
          sanType: SubjectAltNameMatcher_SanType.URI,
          matcher,
        })),
      },
    },
  };
}

function text(value: string): MessageInitShape<typeof DataSourceSchema> {
  return { specifier: { case: "inlineString", value } };
}
