/** The file that a proxy takes its control-plane certificate from; Envoy watches its folder and takes a renamed-in file at once. */

/** Name of the secret in the file. */
export const identitySecret = "identity";

/** Text of the file: certificate chain (own first) and private key, PEM. Write it mode 0600, and by rename. */
export function identityFile(chainPem: string, keyPem: string): string {
  const secret = {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
    name: identitySecret,
    tls_certificate: { certificate_chain: { inline_string: chainPem }, private_key: { inline_string: keyPem } },
  };
  return JSON.stringify({ resources: [secret] });
}
