/**
 * The Connect CA of one datacenter. The primary's root signs its leaves and the secondaries' intermediates; a secondary
 * signs with its intermediate, also while the primary is away. Root keys never leave the primary, leaf keys never their
 * datacenter.
 */
import { randomUUID } from "node:crypto";
import { isMeshError, MeshError, toMeshError } from "../model/errors.ts";
import { trustDomain } from "../model/names.ts";
import type { CaRootRecord, LeafRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";
import type { Clock } from "./clock.ts";
import { at } from "./clock.ts";
import type { Signer } from "./leaves.ts";
import { createLeaves } from "./leaves.ts";
import type { RandomBytes } from "./x509.ts";
import {
  certificateId,
  createCsr,
  createKeyPair,
  createRoot,
  describe,
  isIssuedBy,
  isKeyOf,
  issueIntermediate,
  loadIssuer,
  signingKeyId,
  skewMs,
  verifyCsr,
} from "./x509.ts";

/** The primary's answer to a request for an intermediate. */
export interface SignedIntermediate {
  /** PEM, the new certificate first; the root is not in it. */
  readonly chain: readonly string[];
  readonly roots: readonly CaRootRecord[];
}

export interface ConnectCaDeps {
  readonly store: Store;
  readonly datacenter: string;
  readonly ttl: {
    readonly leafTtlSeconds: number;
    readonly intermediateTtlSeconds: number;
    readonly rootTtlSeconds: number;
  };
  readonly clock: Clock;
  /** A number in [0, 1), for renewal times and pauses. */
  readonly random: () => number;
  readonly randomBytes: RandomBytes;
  /** Asks the primary; absent in the primary itself. */
  readonly signIntermediate?: (csr: string) => Promise<SignedIntermediate>;
  /** Told of each failure that will be tried again. */
  readonly onError: (error: MeshError) => void;
}

export interface ConnectCa {
  /** Resolves when leaves can be signed: at once after a restart, in a new secondary when the primary has answered. */
  start(): Promise<void>;
  readonly ready: boolean;
  /** `<cluster id>.consul`; undefined until the first start got that far. */
  trustDomain(): string | undefined;
  /** Trusted roots, the active one with this datacenter's signing key and intermediates. */
  roots(): readonly CaRootRecord[];
  /**
   * The service's leaf in this datacenter; made, and written to the store, when there is none that is good.
   * @throws {MeshError} `invalid` for an impossible name, `unavailable` while nothing can sign.
   */
  leaf(service: string): Promise<LeafRecord>;
  /** Calls the listener with each leaf after it was written. @returns the way to stop. */
  onLeaf(listener: (leaf: LeafRecord) => void): () => void;
  /**
   * Signs a secondary's intermediate. The caller has checked the secondary's right to it.
   * @throws {MeshError} `invalid` for a bad request, `permission_denied` outside of the primary.
   */
  handleSignIntermediate(csr: string, datacenter: string): Promise<SignedIntermediate>;
  close(): void;
}

/** @throws {MeshError} `invalid` when the lifetimes do not nest. */
export function createConnectCa(deps: ConnectCaDeps): ConnectCa {
  const { store, clock, ttl, datacenter } = deps;
  if (ttl.intermediateTtlSeconds < 3 * ttl.leafTtlSeconds || ttl.rootTtlSeconds < ttl.intermediateTtlSeconds) {
    throw new MeshError(
      "invalid",
      "ca: intermediateTtlSeconds must be at least three times leafTtlSeconds, and rootTtlSeconds at least intermediateTtlSeconds",
    );
  }
  const askPrimary = deps.signIntermediate;
  const signerKey = askPrimary ? "connect-intermediate" : "connect-root";
  const ready = Promise.withResolvers<void>();
  // Whoever calls start() sees the failure; nobody need.
  ready.promise.catch(() => {});
  let signer: Signer | undefined;
  let chainText = "";
  let closed = false;
  let asking = false;
  let failures = 0;
  let cancelTimer = (): void => {};

  const leaves = createLeaves({ ...deps, leafTtlSeconds: ttl.leafTtlSeconds, signer: () => signer });
  const activeRoot = (): CaRootRecord | undefined => store.list("ca-root").find(({ value }) => value.Active)?.value;
  const domain = (): string | undefined => {
    const id = store.get("fact", "cluster-id")?.value.Value;
    return id === undefined ? undefined : trustDomain(id);
  };

  /** Takes the signer from the store if it is good, plans its renewal; in a secondary asks for one if not. */
  const reload = (): void => {
    if (closed) return;
    const record = store.get("signer", signerKey)?.value;
    const root = activeRoot();
    const own = record?.Chain[0];
    const name = domain();
    const { notBeforeMs, notAfterMs } = own === undefined ? { notBeforeMs: 0, notAfterMs: 0 } : describe(own);
    const good =
      record && own && root && name && notAfterMs > clock.now() && (!askPrimary || isIssuedBy(own, root.RootCert));
    if (!good) {
      if (askPrimary) ask();
      return;
    }
    const text = record.Chain.join("");
    if (text !== chainText || signer?.rootId !== root.ID) {
      signer = {
        issuer: loadIssuer(own, record.PrivateKey),
        intermediates: askPrimary ? record.Chain : [],
        rootId: root.ID,
        trustDomain: name,
      };
      chainText = text;
      leaves.review();
      ready.resolve();
    }
    if (!askPrimary || asking) return;
    cancelTimer();
    const madeMs = notBeforeMs + skewMs;
    const halfLife = madeMs + (notAfterMs - madeMs) / 2;
    cancelTimer = at(clock, halfLife, ask);
  };

  /** Gets an intermediate with a new key from the primary; tries until it has one. The old one serves meanwhile. */
  const ask = (): void => {
    if (asking || closed || !askPrimary) return;
    asking = true;
    cancelTimer();
    request(askPrimary).then(
      () => {
        asking = false;
        failures = 0;
        reload();
      },
      (error: unknown) => {
        asking = false;
        if (closed) return;
        deps.onError(toMeshError(error));
        const pauseMs = Math.min(10_000, 100 * 2 ** failures) * (0.5 + deps.random() / 2);
        failures = Math.min(failures + 1, 10);
        cancelTimer = at(clock, clock.now() + pauseMs, ask);
      },
    );
  };

  const request = async (sign: (csr: string) => Promise<SignedIntermediate>): Promise<void> => {
    const keys = await createKeyPair();
    const { chain, roots } = await sign(await createCsr(keys, `Isthmus CA ${datacenter}`));
    const root = roots.find(({ Active }) => Active);
    const own = chain[0];
    const fits = root && own && isKeyOf(own, keys.privateKey) && isIssuedBy(own, root.RootCert);
    if (!fits || certificateId(root.RootCert) !== root.ID) {
      throw new MeshError(
        "internal",
        "the primary answered with an intermediate that its root or our key does not fit",
      );
    }
    const known = store.get("fact", "cluster-id")?.value.Value;
    if (known !== undefined && known !== root.ExternalTrustDomain) {
      throw new MeshError(
        "conflict",
        `the primary's trust domain is "${trustDomain(root.ExternalTrustDomain)}", ours is "${trustDomain(known)}": this datacenter belongs to another mesh`,
      );
    }
    await store.txn([
      { op: "set", kind: "fact", key: "cluster-id", value: { Value: root.ExternalTrustDomain } },
      { op: "set", kind: "signer", key: signerKey, value: { Chain: chain, PrivateKey: keys.privateKey } },
      ...roots.map((value) => ({ op: "set", kind: "ca-root", key: value.ID, value }) as const),
    ]);
  };

  /** Makes cluster id and root in one transaction, unless somebody did. */
  const createFirstRoot = async (): Promise<void> => {
    const clusterId = randomUUID();
    const keys = await createKeyPair();
    const validity = { notBeforeMs: clock.now() - skewMs, notAfterMs: clock.now() + ttl.rootTtlSeconds * 1_000 };
    const uri = `spiffe://${trustDomain(clusterId)}`;
    const commonName = `Isthmus CA ${clusterId.slice(0, 8)}`;
    const root = await createRoot({ keys, commonName, uri, ...validity }, deps.randomBytes);
    const value = rootRecord(root, clusterId);
    try {
      await store.txn([
        { op: "set", kind: "fact", key: "cluster-id", value: { Value: clusterId }, ifIndex: 0 },
        {
          op: "set",
          kind: "signer",
          key: signerKey,
          value: { Chain: [root], PrivateKey: keys.privateKey },
          ifIndex: 0,
        },
        { op: "set", kind: "ca-root", key: value.ID, value, ifIndex: 0 },
      ]);
    } catch (error) {
      if (!isMeshError(error) || error.code !== "conflict") throw error;
    }
  };

  const stopWatching = store.subscribe((commit) => {
    const touched = [...commit.set, ...commit.deleted].some(
      ({ kind, key }) => kind === "ca-root" || (kind === "signer" && key === signerKey),
    );
    // After the commit's other listeners, and never inside the writer's stack.
    if (touched) queueMicrotask(reload);
  });

  return {
    async start() {
      if (!askPrimary && !store.get("signer", signerKey)) await createFirstRoot();
      reload();
      if (!askPrimary && !signer) {
        throw new MeshError(
          "unavailable",
          `the root certificate of datacenter "${datacenter}" has expired or is incomplete in the store`,
        );
      }
      return ready.promise;
    },
    get ready() {
      return signer !== undefined;
    },
    trustDomain: domain,
    roots: () =>
      store.list("ca-root").map(({ value }) =>
        signer && value.ID === signer.rootId
          ? {
              ...value,
              SigningKeyID: signingKeyId(signer.issuer.certificate.toString()),
              IntermediateCerts: signer.intermediates,
            }
          : value,
      ),
    leaf: leaves.leaf,
    onLeaf: (listener) =>
      store.subscribe((commit) => {
        for (const stored of commit.set) if (stored.kind === "leaf") listener(stored.value as LeafRecord);
      }),
    async handleSignIntermediate(csr, forDatacenter) {
      if (askPrimary || !signer) {
        throw new MeshError(
          "permission_denied",
          `datacenter "${datacenter}" does not sign intermediates: ask the primary`,
        );
      }
      if (!/^[a-z0-9_-]{1,64}$/.test(forDatacenter) || forDatacenter === datacenter) {
        throw new MeshError("invalid", `"${forDatacenter.slice(0, 80)}" is not the name of a secondary datacenter`);
      }
      const publicKey = await verifyCsr(csr);
      const now = clock.now();
      const certificate = await issueIntermediate(
        signer.issuer,
        {
          publicKey,
          commonName: `Isthmus CA ${forDatacenter.slice(0, 30)} ${Buffer.from(deps.randomBytes(4)).toString("hex")}`,
          uri: `spiffe://${signer.trustDomain}`,
          notBeforeMs: now - skewMs,
          notAfterMs: now + ttl.intermediateTtlSeconds * 1_000,
        },
        deps.randomBytes,
      );
      return { chain: [certificate], roots: store.list("ca-root").map(({ value }) => value) };
    },
    close() {
      closed = true;
      cancelTimer();
      stopWatching();
      leaves.close();
      ready.reject(new MeshError("unavailable", `the certificate authority of datacenter "${datacenter}" was closed`));
    },
  };
}

function rootRecord(root: string, clusterId: string): CaRootRecord {
  const { notBeforeMs, notAfterMs } = describe(root);
  return {
    ID: certificateId(root),
    Name: "Isthmus CA Root Cert",
    RootCert: root,
    IntermediateCerts: [],
    Active: true,
    SigningKeyID: signingKeyId(root),
    NotBefore: new Date(notBeforeMs).toISOString(),
    NotAfter: new Date(notAfterMs).toISOString(),
    ExternalTrustDomain: clusterId,
    PrivateKeyType: "ec",
    PrivateKeyBits: 256,
  };
}
