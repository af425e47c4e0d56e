/**
 * What proxies say: which are connected, what they acknowledged or refused, and from it a check record
 * `proxy:<id>` that takes a dead sidecar or gateway out of everybody's endpoints.
 */
import type { ProxyObserver, TypeStatus } from "../ads/source.ts";
import { checkKey, proxyCheckId } from "../catalog/checks.ts";
import { serviceKey } from "../catalog/registration-changes.ts";
import { setCurrent, transact } from "../catalog/transact.ts";
import type { CheckRecord, CheckStatus, ServiceRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";

/** Envoy reconnects within 17 to 291 ms with the bootstrap's back-off; a stream that is away longer counts as lost. */
const reconnectGraceMs = 1_000;
/** After a start of the control plane every proxy has this long to come back the first time before its absence counts. */
const startGraceMs = 10_000;

export interface ProxyState {
  readonly connected: boolean;
  readonly types: ReadonlyMap<string, TypeStatus>;
}

export interface Liveness extends ProxyObserver {
  state(proxyId: string): ProxyState;
  /** Calls the listener when any proxy's state changed. @returns the way to stop. */
  onChange(listener: () => void): () => void;
  close(): void;
}

interface State {
  streams: number;
  readonly types: Map<string, TypeStatus>;
  /** It has answered for its listeners since it connected, and nothing was on the way then. */
  serves: boolean;
}

const listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener";

/** A proxy that refused some of them still has the others, or the last good ones. */
function hasListeners(types: ReadonlyMap<string, TypeStatus>): boolean {
  return types.has(listenerType) && [...types.values()].every(({ state }) => state !== "pending");
}

const absent: ProxyState = { connected: false, types: new Map() };

export function createLiveness(deps: {
  readonly store: Store;
  readonly proxy: (id: string) => ServiceRecord | undefined;
  readonly proxies: () => readonly ServiceRecord[];
  readonly onError: (error: unknown) => void;
}): Liveness {
  const states = new Map<string, State>();
  const listeners = new Set<() => void>();
  const timers = new Map<string, NodeJS.Timeout>();

  const stateOf = (proxyId: string) => {
    const state = states.get(proxyId) ?? { streams: 0, types: new Map<string, TypeStatus>(), serves: false };
    states.set(proxyId, state);
    return state;
  };
  const changed = (): void => {
    for (const listener of [...listeners]) listener();
  };
  const isConnected = (proxyId: string): boolean => (states.get(proxyId)?.streams ?? 0) > 0;
  /** Passing once it has its listeners, critical when it is away; between the two what is stored stays. */
  const statusNow = (proxyId: string): CheckStatus | undefined => {
    if (!isConnected(proxyId)) return "critical";
    return states.get(proxyId)?.serves ? "passing" : undefined;
  };
  /** Writes what holds when the transaction is made, and nothing for a proxy that is gone by then. */
  const write = (proxyId: string): void => {
    transact(deps.store, () => {
      const proxy = deps.proxy(proxyId);
      const status = statusNow(proxyId);
      if (!proxy || !status) return [];
      const check = proxyCheck(proxy, status);
      return [
        setCurrent(deps.store, "service", serviceKey(proxy), proxy),
        setCurrent(deps.store, "check", checkKey(check), check),
      ];
    }).catch(deps.onError);
  };
  const judgeAbsent = (proxyId: string): void => {
    if (!isConnected(proxyId)) write(proxyId);
  };
  const startTimer = setTimeout(() => {
    for (const proxy of deps.proxies()) {
      if (deps.store.get("check", `${proxy.Node}/${proxyCheckId(proxy.ID)}`)) judgeAbsent(proxy.ID);
    }
  }, startGraceMs);
  // A proxy that is registered anew starts as critical, also while its stream is open.
  const stopWatching = deps.store.subscribe((commit) => {
    for (const record of commit.set) {
      if (record.kind !== "check") continue;
      const { Type, ServiceID, Status } = record.value as CheckRecord;
      if (Type === "proxy" && Status !== "passing" && statusNow(ServiceID) === "passing")
        queueMicrotask(() => write(ServiceID));
    }
  });

  return {
    connected: (proxyId) => {
      const state = stateOf(proxyId);
      state.streams += 1;
      clearTimeout(timers.get(proxyId));
      timers.delete(proxyId);
      changed();
    },
    disconnected: (proxyId) => {
      const state = stateOf(proxyId);
      state.streams -= 1;
      if (state.streams <= 0) {
        states.delete(proxyId);
        clearTimeout(timers.get(proxyId));
        timers.set(
          proxyId,
          setTimeout(() => {
            timers.delete(proxyId);
            judgeAbsent(proxyId);
          }, reconnectGraceMs),
        );
      }
      changed();
    },
    typeStatus: (proxyId, typeUrl, status) => {
      const state = stateOf(proxyId);
      state.types.set(typeUrl, status);
      if (!state.serves && hasListeners(state.types)) {
        state.serves = true;
        write(proxyId);
      }
      changed();
    },
    state: (proxyId) => {
      const state = states.get(proxyId);
      return state ? { connected: state.streams > 0, types: state.types } : absent;
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => {
      stopWatching();
      clearTimeout(startTimer);
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}

function proxyCheck(proxy: ServiceRecord, status: CheckStatus): CheckRecord {
  return {
    Node: proxy.Node,
    CheckID: proxyCheckId(proxy.ID),
    Name: "Envoy connected to its control plane",
    Status: status,
    Notes: "",
    Output: status === "passing" ? "xDS stream is open and its listeners are there" : "xDS stream is gone",
    ServiceID: proxy.ID,
    ServiceName: proxy.Service,
    Type: "proxy",
    Definition: {},
  };
}
