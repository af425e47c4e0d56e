/** One delta ADS stream: decodes what the client says, steps the protocol, writes the answers and tells the observer. */
import { MeshError } from "../model/errors.ts";
import { createDeadline } from "./deadline.ts";
import { newStream, outstanding, type StreamEvent, step, verdict } from "./delta.ts";
import type { Admission, ByteStream, Gate, StreamHandler } from "./gate.ts";
import type { XdsLimits } from "./limits.ts";
import type { ProxyObserver, ResourceSource } from "./source.ts";
import { decodeDeltaRequest, encodeDeltaResponse } from "./wire.ts";

export interface AdsStreamOptions {
  readonly gate: Gate;
  readonly resources: ResourceSource;
  readonly observer: ProxyObserver;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly limits: XdsLimits;
  /** Unique to the stream. */
  readonly noncePrefix: string;
  /** Told of each refusal by the client. */
  readonly refused: (proxyId: string, typeUrl: string, error: string) => void;
}

/** The handler of one stream; it lives until `closed`. */
export function createAdsStream(stream: ByteStream, options: AdsStreamOptions): StreamHandler {
  const { gate, resources, observer, now, limits } = options;
  let state = newStream(options.noncePrefix, undefined);
  let admission: Admission | undefined;
  let nodeId = "";
  let unsubscribe: () => void = () => {};
  const reported = new Map<string, string>();
  const introduced = createDeadline(now, () => stream.fail("unavailable", "the stream said nothing in time"));
  const stuck = createDeadline(now, () => {
    stream.fail("unavailable", `nothing was read or answered for ${limits.stuckTimeoutMs} ms; connect again`);
  });
  introduced.set(limits.firstMessageTimeoutMs);

  function enter(id: string): void {
    admission = gate.admit(stream, id);
    nodeId = id;
    introduced.clear();
    const { proxyId, first } = admission;
    if (first) observer.connected(proxyId, now());
    state = newStream(options.noncePrefix, resources.resources(proxyId));
    unsubscribe = resources.subscribe(proxyId, () => {
      const newest = resources.resources(proxyId);
      if (newest) apply({ kind: "resources", resources: newest });
    });
  }

  function apply(event: StreamEvent): void {
    const waitingBefore = state.writable ? outstanding(state) : Number.POSITIVE_INFINITY;
    const [after, responses] = step(state, event);
    state = after;
    const waiting = outstanding(state);
    let full = false;
    for (const response of responses) full = !stream.write(encodeDeltaResponse(response)) || full;
    if (full) state = step(state, { kind: "writable", writable: false })[0];
    if (waiting === 0 && state.writable) stuck.clear();
    else if (waitingBefore === 0 || waiting < waitingBefore) stuck.set(limits.stuckTimeoutMs);
    report();
  }

  function report(): void {
    if (!admission) return;
    for (const typeUrl of state.types.keys()) {
      const status = verdict(state, typeUrl);
      if (!status) continue;
      const told = status.state === "nacked" ? `nacked ${status.error}` : status.state;
      if (reported.get(typeUrl) === told) continue;
      reported.set(typeUrl, told);
      if (status.state === "nacked") options.refused(admission.proxyId, typeUrl, status.error);
      observer.typeStatus(admission.proxyId, typeUrl, { ...status, at: now() });
    }
  }

  function checkSize(): void {
    let names = 0;
    for (const type of state.types.values()) names += type.subscription.names.size;
    if (state.types.size > limits.maxTypesPerStream || names > limits.maxNamesPerStream) {
      throw new MeshError("unavailable", "the stream asks for too many types or names");
    }
  }

  return {
    message(bytes) {
      const request = decodeDeltaRequest(bytes);
      if (!admission) enter(request.nodeId);
      else if (request.nodeId !== "" && request.nodeId !== nodeId) {
        throw new MeshError("invalid", `node.id changed within the stream, which is that of "${nodeId}"`);
      }
      if (request.typeUrl === "") throw new MeshError("invalid", "a request without type_url");
      apply({ kind: "request", request });
      checkSize();
    },
    writable() {
      if (admission) apply({ kind: "writable", writable: true });
    },
    closed() {
      introduced.clear();
      stuck.clear();
      unsubscribe();
      if (admission?.leave()) observer.disconnected(admission.proxyId, now());
      admission = undefined;
    },
  };
}
