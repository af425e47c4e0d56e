/** The resource types of the stream, in the order in which one push sends them. */

const prefix = "type.googleapis.com/";

export const CLUSTER = `${prefix}envoy.config.cluster.v3.Cluster`;
export const ENDPOINTS = `${prefix}envoy.config.endpoint.v3.ClusterLoadAssignment`;
export const LISTENER = `${prefix}envoy.config.listener.v3.Listener`;
export const EXTENSION = `${prefix}envoy.config.core.v3.TypedExtensionConfig`;
export const SECRET = `${prefix}envoy.extensions.transport_sockets.tls.v3.Secret`;

const pushOrder: readonly string[] = [CLUSTER, ENDPOINTS, LISTENER, EXTENSION, SECRET];

/** Sorts type URLs for a push: what others refer to comes before what refers to it; unknown types come last. */
export function inPushOrder(typeUrls: Iterable<string>): readonly string[] {
  const rank = (typeUrl: string) => {
    const index = pushOrder.indexOf(typeUrl);
    return index < 0 ? pushOrder.length : index;
  };
  return [...typeUrls].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** True for the types that a client may ask for whole, by `*` or by no name at all. */
export function allowsWildcard(typeUrl: string): boolean {
  return typeUrl === CLUSTER || typeUrl === LISTENER;
}

/**
 * True for the types that travel one resource a response. Envoy refuses a response as a whole: a bad resource would take
 * the good ones beside it along, or leave them applied but unacknowledged.
 */
export function travelsAlone(typeUrl: string): boolean {
  return typeUrl === LISTENER || typeUrl === EXTENSION || typeUrl === SECRET;
}

/**
 * True for the types of which a name that does not exist gets no answer. A filter that still warms hangs for ever when
 * it is told that its configuration was removed; without an answer its default stands.
 */
export function keepsSilentOnUnknown(typeUrl: string): boolean {
  return typeUrl === EXTENSION;
}
