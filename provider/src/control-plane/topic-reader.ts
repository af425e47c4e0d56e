/** A catalog reader that notes the topics it was asked for: what a snapshot read is what it depends on. */
import type { LeafRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";
import type { CatalogIndex, Topic } from "./catalog-index.ts";
import type { Denials } from "./denials.ts";
import type { CatalogReader } from "./snapshot.ts";

/** What the reader reads, apart from the topics. */
export interface ReaderSources {
  readonly store: Store;
  readonly index: CatalogIndex;
  readonly datacenter: string;
  readonly trustDomain: () => string;
  readonly defaultPolicy: "allow" | "deny";
  readonly centralConfig: boolean;
  /** The service's current leaf; undefined starts issuing one, whose arrival is a commit. */
  readonly leaf: (service: string) => LeafRecord | undefined;
  readonly denials: Denials;
}

export function topicReader(sources: ReaderSources, topics: Set<Topic>): CatalogReader {
  const { store, index } = sources;
  return {
    datacenter: sources.datacenter,
    trustDomain: sources.trustDomain(),
    defaultPolicy: sources.defaultPolicy,
    centralConfig: sources.centralConfig,
    sidecarsOf: (service) => {
      topics.add(`sidecars:${service}`);
      return index.sidecarsOf(service);
    },
    meshServices: () => {
      topics.add("mesh-services");
      return index.meshServices();
    },
    gateways: () => {
      topics.add("gateways");
      return index.gateways();
    },
    // Status and checks change together with the topic through which the instance was found.
    status: (instance) => index.status(instance),
    checksOf: (instance) => index.checksOf(instance),
    config: (kind, name) => {
      topics.add(`config:${kind}/${name}`);
      const entry = store.get("config-entry", `${kind}/${name}`)?.value;
      return entry?.Kind === kind ? (entry as never) : undefined;
    },
    imported: (datacenter, service) => {
      topics.add(`imported:${datacenter}/${service}`);
      return store.get("imported-service", `${datacenter}/${service}`)?.value;
    },
    gatewaysOf: (datacenter) => {
      topics.add(`gateways:${datacenter}`);
      return store
        .list("imported-service", `${datacenter}/`)
        .map((record) => record.value)
        .filter((service) => service.Kind === "mesh-gateway");
    },
    otherDatacenters: () => {
      topics.add("datacenters");
      return store
        .list("datacenter")
        .map((record) => record.key)
        .filter((name) => name !== sources.datacenter);
    },
    denials: sources.denials,
    leaf: (service) => {
      topics.add(`leaf:${service}`);
      return sources.leaf(service);
    },
    roots: () => {
      topics.add("roots");
      return store
        .list("ca-root")
        .map((record) => record.value.RootCert)
        .sort();
    },
  };
}
