/**
 * The delta xDS protocol of one aggregated stream as a pure step function. It knows names, versions and bytes, nothing
 * of what resources contain but this: a cluster's endpoints carry the cluster's name.
 *
 * A push goes CDS, EDS, LDS, ECDS, SDS. Listeners wait until the clusters sent before them are accepted, so nothing
 * points at what is not there; clusters, and then all else, go only after every listener is accepted. A type has one
 * set of responses on the way at a time; meanwhile the newest resources win and nothing is queued.
 */
import type { EncodedResource, ResourceSet } from "../model/proxy-snapshot.ts";
import {
  type Available,
  type DeltaRequest,
  type Difference,
  difference,
  firstRequest,
  forget,
  laterRequest,
  recordSent,
  type TypeState,
  wasSentHere,
} from "./type-state.ts";
import { CLUSTER, ENDPOINTS, inPushOrder, LISTENER, travelsAlone } from "./type-urls.ts";

/** One `DeltaDiscoveryResponse`. No name is in it twice. */
export interface DeltaResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly resources: readonly EncodedResource[];
  readonly removed: readonly string[];
}

export type StreamEvent =
  | { readonly kind: "request"; readonly request: DeltaRequest }
  /** The proxy's newest resources; those before count no more. */
  | { readonly kind: "resources"; readonly resources: ResourceSet }
  /** Whether the transport takes more; false holds everything back. */
  | { readonly kind: "writable"; readonly writable: boolean };

export interface StreamState {
  /** Unique to the stream, so that a nonce of an earlier one is never taken for one of its own. */
  readonly noncePrefix: string;
  /** Responses sent so far. */
  readonly responses: number;
  readonly writable: boolean;
  /** Undefined until the proxy has resources; nothing is answered before. */
  readonly resources: ResourceSet | undefined;
  /** Types that were asked for, by URL. */
  readonly types: ReadonlyMap<string, TypeState>;
}

/** What the client thinks of a type: something is on the way or waits, everything is accepted, or something is refused. */
export type TypeVerdict =
  | { readonly state: "pending" }
  | { readonly state: "acked" }
  | { readonly state: "nacked"; readonly error: string };

const none: Available = new Map();

/** A stream on which nothing was asked for yet. */
export function newStream(noncePrefix: string, resources: ResourceSet | undefined): StreamState {
  return { noncePrefix, responses: 0, writable: true, resources, types: new Map() };
}

/** The stream after an event, and the responses to write, in order. */
export function step(state: StreamState, event: StreamEvent): readonly [StreamState, readonly DeltaResponse[]] {
  switch (event.kind) {
    case "writable":
      return push({ ...state, writable: event.writable });
    case "resources":
      return push({ ...state, resources: event.resources });
    case "request": {
      const { request } = event;
      const before = state.types.get(request.typeUrl);
      const type = before === undefined ? began(state, request) : laterRequest(before, request);
      const after = push({ ...state, types: new Map(state.types).set(request.typeUrl, type) });
      const reconnected = before === undefined && request.initialVersions.size > 0;
      return reconnected ? greet(after, request.typeUrl) : after;
    }
  }
}

/**
 * A type's first request. Endpoints that a returning client still has are no good for a cluster that changed on this
 * stream already: it warms anew.
 */
function began(state: StreamState, request: DeltaRequest): TypeState {
  const type = firstRequest(request);
  const clusters = state.types.get(CLUSTER);
  if (request.typeUrl !== ENDPOINTS || clusters === undefined) return type;
  return forget(
    type,
    [...type.subscription.names].filter((name) => wasSentHere(clusters, name)),
  );
}

/** What the client thinks of a type; undefined when it never asked for it. */
export function verdict(state: StreamState, typeUrl: string): TypeVerdict | undefined {
  const type = state.types.get(typeUrl);
  if (type === undefined) return undefined;
  const settled = state.resources !== undefined && type.settledWith === (state.resources.get(typeUrl) ?? none);
  if (!settled || type.outstanding.size > 0) return { state: "pending" };
  return type.error === undefined ? { state: "acked" } : { state: "nacked", error: type.error };
}

/** Number of responses that wait for the client's answer. */
export function outstanding(state: StreamState): number {
  let count = 0;
  for (const type of state.types.values()) count += type.outstanding.size;
  return count;
}

/**
 * Envoy's reconnect delay shrinks only when it receives something: a client that has everything already gets one empty
 * response a stream.
 */
function greet(
  [state, responses]: readonly [StreamState, readonly DeltaResponse[]],
  typeUrl: string,
): readonly [StreamState, readonly DeltaResponse[]] {
  if (state.responses > 0 || !state.writable) return [state, responses];
  const draft = new Push(state);
  draft.send(typeUrl, [{ resources: [], removed: [] }]);
  return draft.result();
}

interface Batch {
  readonly resources: readonly EncodedResource[];
  readonly removed: readonly string[];
}

/** One push under way: the types as they change and the responses so far. Lives for one step. */
class Push {
  readonly #state: StreamState;
  readonly #types: Map<string, TypeState>;
  readonly #responses: DeltaResponse[] = [];

  constructor(state: StreamState) {
    this.#state = state;
    this.#types = new Map(state.types);
  }

  get(typeUrl: string): TypeState | undefined {
    return this.#types.get(typeUrl);
  }

  set(type: TypeState): void {
    this.#types.set(type.typeUrl, type);
  }

  send(typeUrl: string, batches: readonly Batch[]): void {
    let type = this.#types.get(typeUrl)!;
    for (const { resources, removed } of batches) {
      const nonce = `${this.#state.noncePrefix}${this.#state.responses + this.#responses.length + 1}`;
      this.#responses.push({ typeUrl, nonce, resources, removed });
      type = recordSent(type, nonce, resources, removed);
    }
    this.#types.set(typeUrl, type);
  }

  result(): readonly [StreamState, readonly DeltaResponse[]] {
    const responses = this.#state.responses + this.#responses.length;
    return [{ ...this.#state, responses, types: this.#types }, this.#responses];
  }
}

function push(state: StreamState): readonly [StreamState, readonly DeltaResponse[]] {
  const { resources } = state;
  if (resources === undefined || !state.writable) return [state, []];
  const draft = new Push(state);
  const available = (typeUrl: string): Available => resources.get(typeUrl) ?? none;
  const order = inPushOrder(state.types.keys());
  for (const typeUrl of order) pushAdditions(draft, typeUrl, available(typeUrl));
  for (const typeUrl of order) pushRemovals(draft, typeUrl, available);
  return draft.result();
}

function pushAdditions(draft: Push, typeUrl: string, available: Available): void {
  const type = draft.get(typeUrl)!;
  if (type.settledWith === available && !type.owesAnswer) return;
  if (type.outstanding.size > 0 || (typeUrl === LISTENER && !clustersStand(draft))) {
    draft.set({ ...type, settledWith: undefined });
    return;
  }
  const diff = difference(type, available);
  const batches = batchesOf(typeUrl, diff);
  if (batches.length > 0) draft.send(typeUrl, batches);
  else if (type.owesAnswer) draft.send(typeUrl, [{ resources: [], removed: [] }]);
  const nothingLeft = diff.gone.length === 0 || typeUrl === LISTENER;
  draft.set({ ...draft.get(typeUrl)!, settledWith: nothingLeft ? available : undefined });
  if (typeUrl !== CLUSTER) return;
  // A changed cluster warms anew and waits for its endpoints, which Envoy does not ask for again.
  const endpoints = draft.get(ENDPOINTS);
  if (endpoints)
    draft.set(
      forget(
        endpoints,
        diff.added.map(({ name }) => name),
      ),
    );
}

/** True when every cluster sent so far was answered and no endpoints wait for their turn. */
function clustersStand(draft: Push): boolean {
  const endpoints = draft.get(ENDPOINTS);
  const endpointsWait =
    endpoints !== undefined && endpoints.outstanding.size > 0 && endpoints.settledWith === undefined;
  return (draft.get(CLUSTER)?.outstanding.size ?? 0) === 0 && !endpointsWait;
}

/**
 * A listener's removal rides in the first response of its set, where Envoy takes removals first: a new listener may
 * have the old one's address, and sent earlier it would be refused as a duplicate.
 */
function batchesOf(typeUrl: string, diff: Difference): readonly Batch[] {
  const removed = typeUrl === LISTENER ? [...diff.absent, ...diff.gone] : diff.absent;
  if (diff.added.length === 0) return removed.length === 0 ? [] : [{ resources: [], removed }];
  if (!travelsAlone(typeUrl)) return [{ resources: diff.added, removed }];
  return diff.added.map((resource, index) => ({ resources: [resource], removed: index === 0 ? removed : [] }));
}

function pushRemovals(draft: Push, typeUrl: string, available: (typeUrl: string) => Available): void {
  const type = draft.get(typeUrl)!;
  if (typeUrl === LISTENER || type.settledWith !== undefined || type.outstanding.size > 0) return;
  if (!listenersStand(draft, available(LISTENER))) return;
  if (typeUrl !== CLUSTER && !isQuiet(draft.get(CLUSTER))) return;
  const { gone } = difference(type, available(typeUrl));
  if (gone.length > 0) draft.send(typeUrl, [{ resources: [], removed: gone }]);
  draft.set({ ...draft.get(typeUrl)!, settledWith: available(typeUrl) });
}

/**
 * True when the client's listeners are the newest ones: only then is nothing in use that these do not name. A refused
 * listener means that an older one still runs on what it needs; a client that will ask for listeners has them yet to come.
 */
function listenersStand(draft: Push, available: Available): boolean {
  const listeners = draft.get(LISTENER);
  if (listeners === undefined) return available.size === 0;
  return isQuiet(listeners) && listeners.refused.size === 0;
}

function isQuiet(type: TypeState | undefined): boolean {
  return type === undefined || (type.outstanding.size === 0 && type.settledWith !== undefined);
}
