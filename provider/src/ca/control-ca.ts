/**
 * The control CA of one datacenter: server certificates for API, xDS and federation, client certificates for proxies.
 * Apart from the Connect CA, so that no rotation there cuts the control channel; its root is pinned by whoever dials.
 */
import { isMeshError, MeshError, toMeshError } from "../model/errors.ts";
import type { Store } from "../store/store.ts";
import type { Clock } from "./clock.ts";
import { at } from "./clock.ts";
import type { Issuer, RandomBytes, Subject } from "./x509.ts";
import { createKeyPair, createRoot, describe, fingerprint256, issueLeaf, loadIssuer, skewMs } from "./x509.ts";

/** A certificate with its key, PEM. */
export interface ServerCertificate {
  /** Own certificate only: the root that signed it is pinned by the other side. */
  readonly chain: string;
  readonly privateKey: string;
  readonly notAfterMs: number;
}

/** A proxy's client certificate. */
export interface ClientCertificate {
  /** PEM. */
  readonly chain: string;
  /** `AA:BB:…`, SHA-256 of the DER. */
  readonly fingerprint256: string;
  /** `aa:bb:…` */
  readonly serialNumber: string;
  /** ISO 8601. */
  readonly notAfter: string;
}

export interface ControlCaDeps {
  readonly store: Store;
  /** The mesh's name or id, as in server names. */
  readonly mesh: string;
  readonly datacenter: string;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly randomBytes: RandomBytes;
  /** Told of each failed renewal; it is tried again after a minute. */
  readonly onError: (error: MeshError) => void;
  /** Life of server certificates, in seconds. @default 30 days */
  readonly serverTtlSeconds?: number;
}

export interface ControlCa {
  /** PEM, to be pinned. */
  readonly root: string;
  /**
   * A certificate for the names (DNS) and literal addresses. `onRenew` is called with each later one, between 60 % and
   * 90 % of the life of the one before, until the authority is closed.
   */
  serverCertificate(
    names: readonly string[],
    ips: readonly string[],
    onRenew: (certificate: ServerCertificate) => void,
  ): Promise<ServerCertificate>;
  /**
   * Signs a proxy's own key (SPKI PEM, P-256), valid for one year.
   * @throws {MeshError} `invalid` for another key or an id that cannot stand in a URI.
   */
  clientCertificate(proxyId: string, publicKey: string): Promise<ClientCertificate>;
  close(): void;
}

const day = 24 * 3_600_000;

/** The name on a datacenter's server certificates: `server.<dc>.<mesh>.isthmus`. */
export function controlServerName(datacenter: string, mesh: string): string {
  return `server.${datacenter}.${mesh}.isthmus`;
}

/** The URI on a proxy's client certificate: `spiffe://<mesh>.control/dc/<dc>/proxy/<id>`. */
export function controlProxyUri(mesh: string, datacenter: string, proxyId: string): string {
  return `spiffe://${mesh}.control/dc/${datacenter}/proxy/${proxyId}`;
}

/** Loads the authority from the store (signer `control`), or makes it there on the first start. */
export async function createControlCa(deps: ControlCaDeps): Promise<ControlCa> {
  const { store, clock } = deps;
  if (!store.get("signer", "control")) await createFirstRoot(deps);
  const { Chain, PrivateKey } = store.get("signer", "control")!.value;
  const root = Chain[0]!;
  const issuer = loadIssuer(root, PrivateKey);
  const timers = new Map<object, () => void>();
  let closed = false;

  const issueServer = async (subject: Subject): Promise<ServerCertificate> => {
    const keys = await createKeyPair();
    const ttlMs = (deps.serverTtlSeconds ?? (30 * day) / 1_000) * 1_000;
    const chain = await issue(deps, issuer, keys.publicKey, subject, ttlMs);
    return { chain, privateKey: keys.privateKey, notAfterMs: describe(chain).notAfterMs };
  };

  return {
    root,
    async serverCertificate(dns, ips, onRenew) {
      const owner = {};
      const first = await issueServer({ dns, ips });
      const plan = (certificate: ServerCertificate): void => {
        const left = certificate.notAfterMs - clock.now();
        renewAt(clock.now() + left * (0.6 + 0.3 * deps.random()));
      };
      const renewAt = (timeMs: number): void => {
        if (!closed)
          timers.set(
            owner,
            at(clock, timeMs, () => void renew()),
          );
      };
      const renew = async (): Promise<void> => {
        try {
          const next = await issueServer({ dns, ips });
          if (closed) return;
          plan(next);
          onRenew(next);
        } catch (error) {
          deps.onError(toMeshError(error));
          renewAt(clock.now() + 60_000);
        }
      };
      plan(first);
      return first;
    },
    async clientCertificate(proxyId, publicKey) {
      if (!/^[A-Za-z0-9_.-]{1,256}$/.test(proxyId) || /^\.+$/.test(proxyId)) {
        throw new MeshError(
          "invalid",
          `proxy id "${proxyId.slice(0, 80)}" may hold letters, digits, "-", "_" and "." only`,
        );
      }
      const uri = controlProxyUri(deps.mesh, deps.datacenter, proxyId);
      const chain = await issue(deps, issuer, publicKey, { uri }, 365 * day);
      const { serialNumber, notAfterMs } = describe(chain);
      return {
        chain,
        fingerprint256: fingerprint256(chain),
        serialNumber,
        notAfter: new Date(notAfterMs).toISOString(),
      };
    },
    close() {
      closed = true;
      for (const cancel of timers.values()) cancel();
    },
  };
}

async function issue(
  deps: ControlCaDeps,
  issuer: Issuer,
  publicKey: string,
  subject: Subject,
  ttlMs: number,
): Promise<string> {
  const now = deps.clock.now();
  return issueLeaf(
    issuer,
    { publicKey, subject, notBeforeMs: now - skewMs, notAfterMs: now + ttlMs },
    deps.randomBytes,
  );
}

async function createFirstRoot({ store, mesh, datacenter, clock, randomBytes }: ControlCaDeps): Promise<void> {
  const keys = await createKeyPair();
  const commonName = `Isthmus control CA ${datacenter.slice(0, 24)} ${mesh.slice(0, 16)}`;
  const now = clock.now();
  const root = await createRoot(
    { keys, commonName, notBeforeMs: now - skewMs, notAfterMs: now + 3_650 * day },
    randomBytes,
  );
  try {
    await store.txn([
      { op: "set", kind: "signer", key: "control", value: { Chain: [root], PrivateKey: keys.privateKey }, ifIndex: 0 },
    ]);
  } catch (error) {
    // Another process of this datacenter was first: its root is as good.
    if (!isMeshError(error) || error.code !== "conflict") throw error;
  }
}
