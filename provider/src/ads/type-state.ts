/** What one delta stream knows of one resource type: what was asked for, sent, acknowledged and refused. Pure. */
import type { EncodedResource } from "../model/proxy-snapshot.ts";
import { changedSubscription, covers, firstSubscription, type Subscription } from "./subscription.ts";
import { allowsWildcard, keepsSilentOnUnknown } from "./type-urls.ts";

/** One `DeltaDiscoveryRequest`: a subscription change, an answer to a response, or both. */
export interface DeltaRequest {
  readonly typeUrl: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** What the client has from an earlier stream: name to version. Counts on a type's first request only. */
  readonly initialVersions: ReadonlyMap<string, string>;
  /** Nonce of the response that this answers; empty when it answers none. */
  readonly nonce: string;
  /** Set when the response was refused. */
  readonly error?: { readonly code: number; readonly message: string };
}

/** Resources of a type by name. */
export type Available = ReadonlyMap<string, EncodedResource>;

/** One resource in a response; the version is undefined where the response says that it is not there. */
interface Carried {
  readonly name: string;
  readonly version: string | undefined;
}

export interface TypeState {
  readonly typeUrl: string;
  readonly subscription: Subscription;
  /** The version that the client has or was sent last; undefined: it was told that there is none; "": not known. */
  readonly sent: ReadonlyMap<string, string | undefined>;
  /** What the client had when the stream began. */
  readonly initial: ReadonlyMap<string, string>;
  /** Names whose last sent version was refused. */
  readonly refused: ReadonlySet<string>;
  /** Why the newest refusal happened; undefined when nothing is refused. */
  readonly error: string | undefined;
  /** Responses without an answer so far: nonce to content. */
  readonly outstanding: ReadonlyMap<string, readonly Carried[]>;
  /** A wildcard was asked for and must be answered, even by an empty response. */
  readonly owesAnswer: boolean;
  /** The resources for which there is nothing left to send. */
  readonly settledWith: Available | undefined;
}

/** What a client lacks. */
export interface Difference {
  /** New, changed or asked for again, sorted by name. */
  readonly added: readonly EncodedResource[];
  /** Asked for by name and not there, the client not told yet, sorted. */
  readonly absent: readonly string[];
  /** The client has it and it is there no more, sorted. */
  readonly gone: readonly string[];
}

/** The state after a type's first request on a stream. */
export function firstRequest(request: DeltaRequest): TypeState {
  const subscription = firstSubscription(request.subscribe, allowsWildcard(request.typeUrl));
  const initial = new Map([...request.initialVersions].filter(([name]) => covers(subscription, name)));
  return {
    typeUrl: request.typeUrl,
    subscription,
    sent: new Map(initial),
    initial,
    refused: new Set(),
    error: undefined,
    outstanding: new Map(),
    owesAnswer: subscription.wildcard && request.initialVersions.size === 0,
    settledWith: undefined,
  };
}

/** The state after any later request: its answer first, then its change of the subscription. */
export function laterRequest(type: TypeState, request: DeltaRequest): TypeState {
  const answered = type.outstanding.has(request.nonce) ? answer(type, request.nonce, request.error) : type;
  if (request.subscribe.length === 0 && request.unsubscribe.length === 0) return answered;
  return resubscribe(answered, request);
}

function answer(type: TypeState, nonce: string, error: DeltaRequest["error"]): TypeState {
  const carried = type.outstanding.get(nonce) ?? [];
  const outstanding = new Map(type.outstanding);
  outstanding.delete(nonce);
  if (error === undefined) {
    const answered = { ...type, outstanding, error: type.refused.size > 0 ? type.error : undefined };
    return keepsSilentOnUnknown(type.typeUrl) ? recall(answered, carried) : answered;
  }
  // Only what is still the newest that was sent counts as refused: it stays unsent until it changes.
  const current = carried.filter(({ name, version }) => version !== undefined && type.sent.get(name) === version);
  const refused = new Set([...type.refused, ...current.map(({ name }) => name)]);
  return { ...type, outstanding, refused, error: error.message };
}

/**
 * A name that was asked for again while it was on the way has arrived after all: it can be taken back, where of one that
 * the client may lack nothing must be said.
 */
function recall(type: TypeState, carried: readonly Carried[]): TypeState {
  const arrived = carried.filter(({ name, version }) => {
    return version !== undefined && type.subscription.names.has(name) && !type.sent.has(name);
  });
  if (arrived.length === 0) return type;
  const sent = new Map(type.sent);
  for (const { name } of arrived) sent.set(name, "");
  return { ...type, sent, settledWith: undefined };
}

function resubscribe(type: TypeState, request: DeltaRequest): TypeState {
  const change = changedSubscription(
    type.subscription,
    request.subscribe,
    request.unsubscribe,
    allowsWildcard(type.typeUrl),
  );
  const { subscription } = change;
  const sent = new Map(type.sent);
  for (const name of change.asked) sent.delete(name);
  if (subscription.wildcard) {
    // The client cannot know whether the wildcard still covers a name that it gave up: tell it once more.
    for (const name of change.givenUp) {
      if (sent.get(name) === undefined) sent.delete(name);
      else sent.set(name, "");
    }
  } else {
    for (const name of sent.keys()) if (!subscription.names.has(name)) sent.delete(name);
  }
  const refused = new Set([...type.refused].filter((name) => covers(subscription, name)));
  return {
    ...type,
    subscription,
    sent,
    refused,
    error: type.refused.size > 0 && refused.size === 0 ? undefined : type.error,
    owesAnswer: type.owesAnswer || (subscription.wildcard && !type.subscription.wildcard),
    settledWith: undefined,
  };
}

/** The state in which the client counts as having none of these names, so that they are sent again. */
export function forget(type: TypeState, names: Iterable<string>): TypeState {
  const sent = new Map(type.sent);
  let changed = false;
  for (const name of names) changed = (type.subscription.names.has(name) && sent.delete(name)) || changed;
  return changed ? { ...type, sent, settledWith: undefined } : type;
}

/** True when the stream itself brought the client what it has of this name. */
export function wasSentHere(type: TypeState, name: string): boolean {
  return type.sent.get(name) !== type.initial.get(name);
}

/** What the client lacks of the resources there are. */
export function difference(type: TypeState, available: Available): Difference {
  const { subscription, sent } = type;
  const added: EncodedResource[] = [];
  const absent: string[] = [];
  const gone: string[] = [];
  const wanted = subscription.wildcard ? available.keys() : subscription.names;
  for (const name of wanted) {
    const resource = available.get(name);
    if (resource !== undefined && sent.get(name) !== resource.version) added.push(resource);
  }
  for (const name of subscription.names) {
    if (!available.has(name) && !sent.has(name) && !keepsSilentOnUnknown(type.typeUrl)) absent.push(name);
  }
  for (const [name, version] of sent) if (version !== undefined && !available.has(name)) gone.push(name);
  return { added: added.sort(byName), absent: absent.sort(), gone: gone.sort() };
}

function byName(a: EncodedResource, b: EncodedResource): number {
  return a.name < b.name ? -1 : 1;
}

/** The state after one more response with these resources and names of missing ones. */
export function recordSent(
  type: TypeState,
  nonce: string,
  resources: readonly EncodedResource[],
  removed: readonly string[],
): TypeState {
  const sent = new Map(type.sent);
  const refused = new Set(type.refused);
  for (const { name, version } of resources) {
    sent.set(name, version);
    refused.delete(name);
  }
  for (const name of removed) {
    if (type.subscription.names.has(name)) sent.set(name, undefined);
    else sent.delete(name);
    refused.delete(name);
  }
  const carried = [
    ...resources.map(({ name, version }) => ({ name, version })),
    ...removed.map((name) => ({ name, version: undefined })),
  ];
  return { ...type, sent, refused, owesAnswer: false, outstanding: new Map(type.outstanding).set(nonce, carried) };
}
