/**
 * The proxies' current resources: computed when somebody asks, computed anew when a commit touches what they were made
 * of, and only then. Feeds the ADS server (ResourceSource) and the health checks that proxies run (HealthTarget).
 */
import type { HealthTarget, ResourceSource } from "../ads/source.ts";
import { toMeshError } from "../model/errors.ts";
import type { ProxyCheck, ProxySnapshot, ResourceSet } from "../model/proxy-snapshot.ts";
import type { Commit } from "../store/store.ts";
import type { Topic } from "./catalog-index.ts";
import { type SnapshotResult, snapshotOf } from "./snapshot.ts";
import { type ReaderSources, topicReader } from "./topic-reader.ts";

interface Entry {
  result: SnapshotResult;
  topics: ReadonlySet<Topic>;
  set: ResourceSet | undefined;
  readonly listeners: Set<() => void>;
  readonly checkListeners: Set<() => void>;
}

export interface Proxies {
  readonly resources: ResourceSource;
  readonly health: Pick<HealthTarget, "checks" | "subscribe">;
  /** Remarks on a proxy's configuration, in words. */
  warnings(proxyId: string): readonly string[];
  /** Takes in a commit; call it once for each, in order. */
  apply(commit: Commit): void;
}

export function createProxies(
  sources: ReaderSources,
  resourceSet: (snapshot: ProxySnapshot, previous?: ResourceSet) => ResourceSet,
  onError: (proxyId: string, error: unknown) => void,
): Proxies {
  const entries = new Map<string, Entry>();
  const proxiesByTopic = new Map<Topic, Set<string>>();

  const depend = (proxyId: string, before: ReadonlySet<Topic>, after: ReadonlySet<Topic>): void => {
    for (const topic of before) {
      if (after.has(topic)) continue;
      const proxies = proxiesByTopic.get(topic);
      proxies?.delete(proxyId);
      if (proxies?.size === 0) proxiesByTopic.delete(topic);
    }
    for (const topic of after) {
      if (before.has(topic)) continue;
      const proxies = proxiesByTopic.get(topic) ?? new Set();
      proxiesByTopic.set(topic, proxies.add(proxyId));
    }
  };

  const compute = (proxyId: string): { result: SnapshotResult; topics: Set<Topic> } => {
    const topics = new Set<Topic>([`proxy:${proxyId}`]);
    const proxy = sources.index.proxy(proxyId);
    if (!proxy) return { result: { warnings: [`proxy "${proxyId}" is not registered`] }, topics };
    return { result: snapshotOf(proxy, topicReader(sources, topics)), topics };
  };

  /** One listener that fails keeps nobody else from being told. */
  const notify = (proxyId: string, listeners: ReadonlySet<() => void>): void => {
    for (const listener of [...listeners]) {
      try {
        listener();
      } catch (error) {
        onError(proxyId, error);
      }
    }
  };

  /** The last good set stays when a new one cannot be made; one proxy's failure is no other's. */
  const refresh = (proxyId: string, entry: Entry): void => {
    const checksBefore = JSON.stringify(entry.result.snapshot?.checks ?? []);
    const before = entry.set;
    try {
      const { result, topics } = compute(proxyId);
      depend(proxyId, entry.topics, topics);
      entry.topics = topics;
      entry.result = result;
      if (result.snapshot) {
        const set = resourceSet(result.snapshot, before);
        if (!before || !sameResources(set, before)) entry.set = set;
      }
    } catch (error) {
      entry.result = { ...entry.result, warnings: [`its resources cannot be made: ${toMeshError(error).message}`] };
      onError(proxyId, error);
    }
    if (JSON.stringify(entry.result.snapshot?.checks ?? []) !== checksBefore) notify(proxyId, entry.checkListeners);
    if (entry.set !== before) notify(proxyId, entry.listeners);
  };

  const entryOf = (proxyId: string): Entry => {
    const known = entries.get(proxyId);
    if (known) return known;
    const entry: Entry = {
      result: { warnings: [] },
      topics: new Set(),
      set: undefined,
      listeners: new Set(),
      checkListeners: new Set(),
    };
    entries.set(proxyId, entry);
    refresh(proxyId, entry);
    return entry;
  };

  const subscribe = (proxyId: string, listener: () => void, pick: (entry: Entry) => Set<() => void>): (() => void) => {
    const entry = entryOf(proxyId);
    pick(entry).add(listener);
    return () => {
      pick(entry).delete(listener);
      if (entry.listeners.size + entry.checkListeners.size > 0 || entries.get(proxyId) !== entry) return;
      entries.delete(proxyId);
      depend(proxyId, entry.topics, new Set());
    };
  };

  return {
    resources: {
      resources: (proxyId) => entryOf(proxyId).set,
      subscribe: (proxyId, listener) => subscribe(proxyId, listener, (entry) => entry.listeners),
    },
    health: {
      checks: (proxyId): readonly ProxyCheck[] => entryOf(proxyId).result.snapshot?.checks ?? [],
      subscribe: (proxyId, listener) => subscribe(proxyId, listener, (entry) => entry.checkListeners),
    },
    warnings: (proxyId) => (entries.get(proxyId)?.result ?? compute(proxyId).result).warnings,
    apply: (commit) => {
      const affected = new Set<string>();
      for (const topic of sources.index.apply(commit)) {
        for (const proxyId of proxiesByTopic.get(topic) ?? []) affected.add(proxyId);
      }
      for (const proxyId of affected) {
        const entry = entries.get(proxyId);
        if (entry) refresh(proxyId, entry);
      }
    },
  };
}

function sameResources(a: ResourceSet, b: ResourceSet): boolean {
  if (a.size !== b.size) return false;
  for (const [typeUrl, resources] of a) {
    const others = b.get(typeUrl);
    if (!others || others.size !== resources.size) return false;
    for (const [name, resource] of resources) if (others.get(name)?.version !== resource.version) return false;
  }
  return true;
}
