/** Every name that is given to Envoy or put on the wire: SNI, cluster and trust-domain names. Pure. */

/** `11111111-2222-3333-4444-555555555555.consul`, from the cluster id that the primary made on first start. */
export function trustDomain(clusterId: string): string {
  return `${clusterId}.consul`;
}

/**
 * SNI of a service, and the name of the cluster that dials it: `<svc>.<ns>.<dc>.internal.<trust domain>`
 * (Consul, agent/connect/sni.go). Namespaces are always `default`.
 */
export function serviceSni(service: string, datacenter: string, domain: string): string {
  return `${service}.default.${datacenter}.internal.${domain}`;
}

/** A remote datacenter's cluster on a mesh gateway: `<dc>.internal.<trust domain>`. */
export function datacenterSni(datacenter: string, domain: string): string {
  return `${datacenter}.internal.${domain}`;
}
