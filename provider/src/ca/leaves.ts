/** The leaves of one datacenter: made on demand, kept in the store, renewed in good time by one timer. */
import { MeshError, toMeshError } from "../model/errors.ts";
import { parseSpiffeId, spiffeId } from "../model/identity.ts";
import type { LeafRecord } from "../model/records.ts";
import type { Change, Store } from "../store/store.ts";
import type { Clock } from "./clock.ts";
import { at } from "./clock.ts";
import type { Issuer, RandomBytes } from "./x509.ts";
import { createKeyPair, describe, issueLeaf, skewMs } from "./x509.ts";

/** What signs the leaves at present. */
export interface Signer {
  readonly issuer: Issuer;
  /** Shipped with each leaf, PEM; empty where the root signs. */
  readonly intermediates: readonly string[];
  /** ID of the root that the chain ends in. */
  readonly rootId: string;
  readonly trustDomain: string;
}

export interface LeavesDeps {
  readonly store: Store;
  readonly datacenter: string;
  readonly leafTtlSeconds: number;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly randomBytes: RandomBytes;
  /** Undefined while this datacenter cannot sign yet. */
  readonly signer: () => Signer | undefined;
  readonly onError: (error: MeshError) => void;
}

export interface Leaves {
  /**
   * The service's current leaf; a new one is durable before it is returned.
   * @throws {MeshError} `invalid` for a name that cannot stand in a SPIFFE ID, `unavailable` while nothing can sign.
   */
  leaf(service: string): Promise<LeafRecord>;
  /** Looks at every leaf anew: call it once at the start and whenever the signer changed. */
  review(): void;
  close(): void;
}

/** Leaves that are made and written in one go. */
const batchSize = 32;
/** Wait after a failure, in milliseconds. */
const retryMs = 1_000;

export function createLeaves(deps: LeavesDeps): Leaves {
  const { store, clock } = deps;
  const renewAt = new Map<string, number>();
  const underway = new Map<string, Promise<LeafRecord>>();
  let cancelTimer = (): void => {};
  let renewing = false;
  let closed = false;

  /** The stored leaf if the present signer made it and it is valid now. */
  const current = (service: string): LeafRecord | undefined => {
    const leaf = store.get("leaf", service)?.value;
    const signer = deps.signer();
    if (!leaf || !signer || leaf.RootID !== signer.rootId) return undefined;
    const now = clock.now();
    if (now < Date.parse(leaf.NotBefore) || now >= Date.parse(leaf.NotAfter)) return undefined;
    const [, ...intermediates] = leaf.Chain;
    const sameSigner =
      intermediates.length === signer.intermediates.length &&
      intermediates.every((certificate, index) => certificate === signer.intermediates[index]);
    return sameSigner ? leaf : undefined;
  };

  /** A random point between 60 % and 90 % of its life since it was made, so that leaves made together part ways. */
  const plan = (leaf: LeafRecord): void => {
    const from = Date.parse(leaf.NotBefore) + skewMs;
    const life = Date.parse(leaf.NotAfter) - from;
    renewAt.set(leaf.Service, from + life * (0.6 + 0.3 * deps.random()));
  };

  const make = async (service: string): Promise<LeafRecord> => {
    const signer = deps.signer();
    if (!signer) {
      throw new MeshError(
        "unavailable",
        `no certificate for service "${service}": datacenter "${deps.datacenter}" has no signing certificate yet; it gets one when the primary answers`,
      );
    }
    const uri = identityOf(service, deps.datacenter, signer.trustDomain);
    const keys = await createKeyPair();
    const now = clock.now();
    const validity = { notBeforeMs: now - skewMs, notAfterMs: now + deps.leafTtlSeconds * 1_000 };
    const certificate = await issueLeaf(
      signer.issuer,
      { publicKey: keys.publicKey, subject: { uri }, ...validity },
      deps.randomBytes,
    );
    const { serialNumber, notBeforeMs, notAfterMs } = describe(certificate);
    return {
      Service: service,
      SerialNumber: serialNumber,
      Chain: [certificate, ...signer.intermediates],
      PrivateKey: keys.privateKey,
      RootID: signer.rootId,
      NotBefore: new Date(notBeforeMs).toISOString(),
      NotAfter: new Date(notAfterMs).toISOString(),
    };
  };

  /** Makes leaves for all the services and writes them in one transaction. */
  const issue = (services: readonly string[]): Promise<readonly LeafRecord[]> => {
    const all = (async () => {
      const leaves = await Promise.all(services.map(make));
      await store.txn(leaves.map((value): Change => ({ op: "set", kind: "leaf", key: value.Service, value })));
      for (const leaf of leaves) plan(leaf);
      return leaves;
    })();
    services.forEach((service, index) => {
      const one = all.then((leaves) => leaves[index]!);
      underway.set(service, one);
      const done = (): void => {
        if (underway.get(service) === one) underway.delete(service);
      };
      one.then(done, done);
    });
    return all;
  };

  const arm = (): void => {
    cancelTimer();
    if (closed || renewing || renewAt.size === 0) return;
    let first = Number.POSITIVE_INFINITY;
    for (const time of renewAt.values()) first = Math.min(first, time);
    cancelTimer = at(clock, first, () => void renew());
  };

  /** Renews what is due, batch by batch; what stands for no registered service any more is dropped instead. */
  const renew = async (): Promise<void> => {
    renewing = true;
    try {
      for (;;) {
        const due = [...renewAt].filter(([, time]) => time <= clock.now()).map(([service]) => service);
        const batch = due.slice(0, batchSize);
        if (closed || batch.length === 0) break;
        const wanted = registeredServices(store);
        const unwanted = batch.filter((service) => !wanted.has(service));
        const renewed = batch.filter((service) => wanted.has(service) && !underway.has(service));
        try {
          if (unwanted.length > 0) {
            await store.txn(unwanted.map((key): Change => ({ op: "delete", kind: "leaf", key })));
            for (const service of unwanted) renewAt.delete(service);
          }
          if (renewed.length > 0) await issue(renewed);
          else await Promise.allSettled(batch.map((service) => underway.get(service)));
        } catch (error) {
          deps.onError(toMeshError(error));
          for (const service of batch) renewAt.set(service, clock.now() + retryMs * (1 + deps.random()));
        }
        // Lets streams and requests in between two batches.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      renewing = false;
      arm();
    }
  };

  return {
    async leaf(service) {
      const known = current(service);
      if (known) return known;
      const pending = underway.get(service);
      if (pending !== undefined) return pending;
      const [leaf] = await issue([service]);
      arm();
      return leaf!;
    },
    review() {
      for (const { key, value } of store.list("leaf")) {
        if (current(key)) plan(value);
        else renewAt.set(key, clock.now());
      }
      arm();
    },
    close() {
      closed = true;
      cancelTimer();
    },
  };
}

/** @throws {MeshError} `invalid` when the name cannot stand in a SPIFFE ID unchanged. */
function identityOf(service: string, datacenter: string, trustDomain: string): string {
  const uri = spiffeId({ trustDomain, datacenter, service });
  if (parseSpiffeId(uri)?.service !== service || /^\.+$/.test(service) || uri.length > 2_048) {
    throw new MeshError(
      "invalid",
      `service "${service.slice(0, 80)}" cannot have a certificate: its name may hold letters, digits, "-", "_" and "." only`,
    );
  }
  return uri;
}

/** Services that an instance or a sidecar here stands for. */
function registeredServices(store: Store): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { value } of store.list("service")) names.add(value.Proxy?.DestinationServiceName ?? value.Service);
  return names;
}
