/** The Envoy of a unit: its identity, its bootstrap and its process, until the control plane calls it ready. */
import { generateKeyPairSync } from "node:crypto";
import { identityFile } from "../model/identity-file.ts";
import type { IdentityRequest, IdentityResponse, ProxyStatus } from "../model/isthmus-api.ts";
import type { Placement, ProcessSpec, Runtime, UnitId } from "../runtime/runtime.ts";
import type { ApiClient } from "./api-client.ts";
import type { HandlerContext } from "./context.ts";
import { ensureUnitToken } from "./own-token.ts";
import { whileRunning } from "./watch-process.ts";

/** When a proxy's certificate was made and ends, in milliseconds since the epoch. */
export interface ProxyCertificate {
  readonly issuedAt: number;
  readonly notAfter: number;
}

/** True once less than half of its life is left, or there is none. */
export function isRenewalDue(certificate: ProxyCertificate | undefined, now: number): boolean {
  return certificate === undefined || now > (certificate.issuedAt + certificate.notAfter) / 2;
}

export interface ProxyUnit {
  readonly runtime: Runtime;
  readonly api: ApiClient;
  readonly unit: UnitId;
  readonly placement: Placement;
  /** Id of the sidecar or gateway in the catalog. */
  readonly proxyId: string;
  /** Secret of the token that it was registered with; undefined where there are no ACLs. */
  readonly token: string | undefined;
  /** Of an earlier run. */
  readonly certificate: ProxyCertificate | undefined;
}

const files = { bootstrap: "bootstrap.json", identity: "identity.json", admin: "admin.sock" };

function processSpec(placement: Placement): ProcessSpec {
  return {
    name: "proxy",
    program: { type: "envoy" },
    args: [
      "-c",
      `${placement.directory}/${files.bootstrap}`,
      "--concurrency",
      "1",
      "--disable-hot-restart",
      "--drain-time-s",
      "1",
      "--log-level",
      "warning",
    ],
    env: {},
    revision: "1",
  };
}

/**
 * Makes the proxy run. A certificate is issued when there is none or half of its life is over; Envoy takes a new one up
 * by itself. Resolves when the proxy has acknowledged its whole configuration.
 */
export async function ensureProxy(proxy: ProxyUnit, context: HandlerContext): Promise<ProxyCertificate> {
  const { runtime, api, unit, placement, proxyId } = proxy;
  const running = (await runtime.inspect(unit))?.processes.some((one) => one.name === "proxy" && one.running);
  let certificate = proxy.certificate;
  if (!running || certificate === undefined || isRenewalDue(certificate, context.now())) {
    certificate = await issueIdentity(proxy, context);
  }
  const started = await runtime.ensureProcess(unit, processSpec(placement));
  let index = 0;
  await whileRunning(
    `proxy "${proxyId}" in datacenter "${unit.datacenter}"`,
    { runtime, unit, started },
    context,
    async () => {
      const path = `/v1/isthmus/proxies/${encodeURIComponent(proxyId)}`;
      const answer = await api.read<ProxyStatus>(path, index === 0 ? {} : { index, waitMs: 1000 });
      index = answer.index;
      const refused = answer.value.Types.find((type) => type.State === "nacked");
      if (refused) context.log(`proxy "${proxyId}" refused ${refused.TypeUrl}: ${refused.Error ?? "no reason given"}`);
      return answer.value.Ready ? answer.value : undefined;
    },
  );
  return certificate;
}

async function issueIdentity(proxy: ProxyUnit, context: HandlerContext): Promise<ProxyCertificate> {
  const { runtime, api, unit, placement, proxyId, token } = proxy;
  const pair = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const body: IdentityRequest = {
    PublicKey: pair.publicKey,
    IdentityFile: `${placement.directory}/${files.identity}`,
    AdminSocket: `${placement.directory}/${files.admin}`,
  };
  const path = `/v1/isthmus/proxies/${encodeURIComponent(proxyId)}/identity`;
  const answer = await api.put<IdentityResponse>(path, body, token === undefined ? {} : { token });
  await runtime.putFiles(unit, [
    { path: files.identity, content: identityFile(answer.CertificateChain, pair.privateKey) },
    { path: files.bootstrap, content: JSON.stringify(answer.Bootstrap) },
  ]);
  return { issuedAt: context.now(), notAfter: Date.parse(answer.NotAfter) };
}

/**
 * Starts every proxy of a datacenter anew with a new bootstrap. Needed when their control plane has moved to another port;
 * it breaks their connections.
 */
export async function restartProxies(
  runtime: Runtime,
  api: ApiClient,
  mesh: string,
  datacenter: string,
  context: HandlerContext,
): Promise<void> {
  for (const { id: unit, placement, processes } of await runtime.list(mesh)) {
    if (unit.datacenter !== datacenter || !processes.some((one) => one.name === "proxy")) continue;
    const proxyId = unit.role === "service" ? `${unit.name}-sidecar-proxy` : unit.name;
    const token = (await ensureUnitToken(api, unit))?.secret;
    await issueIdentity({ runtime, api, unit, placement, proxyId, token, certificate: undefined }, context);
    await runtime.removeProcess(unit, "proxy");
    await runtime.ensureProcess(unit, processSpec(placement));
  }
}
