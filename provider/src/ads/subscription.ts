/** Which names of one resource type a delta stream has asked for. Pure (xDS protocol of Envoy v1.40, "how the client specifies what resources to return"). */

/** The name that subscribes to every resource of a type. */
export const WILDCARD = "*";

export interface Subscription {
  /** Every resource of the type, whether asked for by `*` or, as older clients do, by a first request without names. */
  readonly wildcard: boolean;
  /** Names asked for one by one; may exist or not. */
  readonly names: ReadonlySet<string>;
}

export interface SubscriptionChange {
  readonly subscription: Subscription;
  /** Names that were asked for, again or for the first time: each must be answered, whatever the client has. */
  readonly asked: readonly string[];
  /** Names that were given up; a wildcard may still cover them. */
  readonly givenUp: readonly string[];
}

/** The subscription of a type's first request on a stream; no names at all means every name where the type allows it. */
export function firstSubscription(subscribe: readonly string[], wildcardType: boolean): Subscription {
  const wildcard = wildcardType && (subscribe.length === 0 || subscribe.includes(WILDCARD));
  return { wildcard, names: new Set(subscribe.filter((name) => name !== WILDCARD)) };
}

/**
 * The subscription after a later request. Unsubscribing comes first, so a name in both lists stays. A wildcard lives
 * until `*` itself is given up; an empty list of names is never a wildcard here.
 */
export function changedSubscription(
  before: Subscription,
  subscribe: readonly string[],
  unsubscribe: readonly string[],
  wildcardType: boolean,
): SubscriptionChange {
  const names = new Set(before.names);
  const deleted = unsubscribe.filter((name) => names.delete(name));
  const asked = subscribe.filter((name) => name !== WILDCARD);
  for (const name of asked) names.add(name);
  const wildcardStays = before.wildcard && !unsubscribe.includes(WILDCARD);
  const wildcard = wildcardType && (wildcardStays || subscribe.includes(WILDCARD));
  return { subscription: { wildcard, names }, asked, givenUp: deleted.filter((name) => !names.has(name)) };
}

/** True when the client wants to hear of this name. */
export function covers(subscription: Subscription, name: string): boolean {
  return subscription.wildcard || subscription.names.has(name);
}
