/** The composition root: everything that runs in one datacenter's control plane, put together and started in order. */
import { randomBytes, randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import { managementAuthorizer } from "../acl/authorizer.ts";
import { builtinChanges } from "../acl/builtin.ts";
import { createResolver } from "../acl/tokens.ts";
import { createXdsServer } from "../ads/ads-server.ts";
import { systemClock } from "../ca/clock.ts";
import { createConnectCa } from "../ca/connect-ca.ts";
import { controlProxyUri, controlServerName, createControlCa } from "../ca/control-ca.ts";
import { createAliases } from "../catalog/alias.ts";
import { systemClock as monotonicClock } from "../catalog/deadlines.ts";
import { createReaper } from "../catalog/reaper.ts";
import { createTtl } from "../catalog/ttl.ts";
import type { ControlPlaneConfig } from "../model/isthmus-api.ts";
import { createApi } from "../server/http/api.ts";
import { serveHttps, serveUnix } from "../server/http/server.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { bootstrap } from "../xds/bootstrap.ts";
import { healthCheckSpecifier } from "../xds/health-check-specifier.ts";
import { resourceSet } from "../xds/resource-set.ts";
import { createAclOperations } from "./acl-operations.ts";
import { createAuthenticator } from "./authenticator.ts";
import { createCatalogIndex } from "./catalog-index.ts";
import { createDenials } from "./denials.ts";
import { createFederation } from "./federation.ts";
import { gauges } from "./gauges.ts";
import { createHealthTarget } from "./health-target.ts";
import { issueIdentity } from "./identities.ts";
import { createLeafSource } from "./leaf-source.ts";
import { createLiveness } from "./liveness.ts";
import { createProxies } from "./proxies.ts";
import { proxyStatus } from "./proxy-status.ts";
import { createReadiness } from "./readiness.ts";
import { version } from "./version.ts";
import { createWatchable } from "./watchable.ts";

export interface ControlPlane {
  /** Ends every stream and closes the database. */
  close(): Promise<void>;
}

/** Name of the operator's socket in the control plane's folder. */
const socketName = "api.sock";

/**
 * Starts a control plane whose database is `state.db` in the folder.
 * @throws {MeshError} `unavailable` when a port or the database cannot be had
 */
export async function startControlPlane(
  config: ControlPlaneConfig,
  directory: string,
  log: Logger,
): Promise<ControlPlane> {
  const { datacenter, mesh } = config;
  const onError = (error: unknown): void => log.error({ error: String(error) }, "an error that ended nothing else");
  const closing: (() => unknown)[] = [];
  const own = <T>(part: T, close: (part: T) => unknown): T => {
    closing.push(() => close(part));
    return part;
  };

  const store = own(openSqliteStore(join(directory, "state.db"), { onListenerError: onError }), (part) => part.close());
  const node = {
    Node: `${datacenter}-control-plane`,
    ID: await nodeId(store),
    Address: config.lanAddress,
    Datacenter: datacenter,
    TaggedAddresses: { lan: config.lanAddress, wan: config.wanAddress },
    Meta: {},
  };
  const builtins = config.join ? [] : builtinChanges(store, Date.now());
  await store.txn([{ op: "set", kind: "node", key: node.Node, value: node }, ...builtins]);

  const randomness = { clock: systemClock, random: Math.random, randomBytes };
  const controlCa = own(await createControlCa({ store, mesh, datacenter, ...randomness, onError }), (part) =>
    part.close(),
  );
  const resolver = own(
    createResolver(store, { datacenter, enabled: config.acl.enabled, defaultPolicy: config.acl.defaultPolicy }),
    (part) => part.close(),
  );
  const socketPath = join(directory, socketName);
  const federation = own(createFederation({ config, store, resolver, socketPath, log }), (part) => part.close());
  const connectCa = own(
    createConnectCa({
      store,
      datacenter,
      ttl: config.ca,
      ...randomness,
      ...(federation.signIntermediate ? { signIntermediate: federation.signIntermediate } : {}),
      onError,
    }),
    (part) => part.close(),
  );

  const index = createCatalogIndex(store, node.Node);
  const leaves = own(
    createLeafSource({
      store,
      issue: connectCa.leaf,
      isWanted: (service) => index.sidecarsOf(service).length > 0,
      clock: systemClock,
      onError,
    }),
    (part) => part.close(),
  );
  const proxies = createProxies(
    {
      store,
      index,
      datacenter,
      trustDomain: () => connectCa.trustDomain() ?? "",
      defaultPolicy: config.acl.enabled ? config.acl.defaultPolicy : "allow",
      centralConfig: config.enableCentralServiceConfig,
      leaf: leaves.leaf,
      denials: createDenials(store, onError),
    },
    resourceSet,
    (proxyId, error) =>
      log.error({ proxy: proxyId, error: String(error) }, "resources cannot be made; the last good ones stay"),
  );
  own(
    store.subscribe((commit) => proxies.apply(commit)),
    (stop) => stop(),
  );

  const liveness = own(createLiveness({ store, proxy: index.proxy, proxies: index.proxies, onError }), (part) =>
    part.close(),
  );
  const readiness = createReadiness({ config, store, connectCa, federation, gateways: index.gateways });
  let shown = "";
  const certificate = await controlCa.serverCertificate(
    [controlServerName(datacenter, mesh), "localhost"],
    [...new Set([...config.bind, config.lanAddress, config.wanAddress, "127.0.0.1"])],
    (renewed) => {
      shown = renewed.chain;
      xds.setTls({ cert: renewed.chain, key: renewed.privateKey, clientCa: controlCa.root });
      federation.replaceCertificate(renewed);
      for (const server of servers) server.renew({ cert: renewed.chain, key: renewed.privateKey });
    },
  );
  shown = certificate.chain;

  const xds = own(
    createXdsServer({
      tls: { cert: certificate.chain, key: certificate.privateKey, clientCa: controlCa.root },
      authenticator: createAuthenticator({
        store,
        proxy: index.proxy,
        byAccessor: resolver.byAccessor,
        onTokensChanged: (listener) => resolver.onInvalidated(() => listener()),
        uri: (proxyId) => controlProxyUri(mesh, datacenter, proxyId),
      }),
      resources: proxies.resources,
      observer: liveness,
      health: createHealthTarget({ store, proxy: index.proxy, checks: proxies.health, onError }),
      healthCheckSpecifier,
      now: Date.now,
      log,
    }),
    (part) => part.close(),
  );

  const proxyChanges = createWatchable();
  own(liveness.onChange(proxyChanges.changed), (stop) => stop());
  own(
    store.subscribe(() => proxyChanges.changed()),
    (stop) => stop(),
  );
  const controlPlane = {
    address: config.lanAddress,
    port: config.ports.grpcTls,
    serverName: controlServerName(datacenter, mesh),
  };
  const api = createApi({
    store,
    datacenter,
    primaryDatacenter: config.primaryDatacenter,
    version,
    node,
    serverAddress: `${config.lanAddress}:${config.ports.server}`,
    trustDomain: () => connectCa.trustDomain() ?? "",
    acl: {
      enabled: config.acl.enabled,
      defaultPolicy: config.acl.defaultPolicy,
      resolve: resolver.resolve,
      operator: managementAuthorizer("operator"),
      operations: createAclOperations(store, { uuid: randomUUID, now: Date.now }),
    },
    connectCa: {
      roots: connectCa.roots,
      leaf: connectCa.leaf,
      configuration: () => ({
        LeafCertTTL: `${config.ca.leafTtlSeconds}s`,
        IntermediateCertTTL: `${config.ca.intermediateTtlSeconds}s`,
        RootCertTTL: `${config.ca.rootTtlSeconds}s`,
        PrivateKeyType: "ec",
        PrivateKeyBits: 256,
      }),
    },
    ...(federation.primaryLink ? { primary: federation.primaryLink } : {}),
    proxies: {
      ...proxyChanges.watchable,
      get index() {
        return proxyChanges.watchable.index;
      },
      list: () =>
        index.proxies().map((proxy) => {
          const leaf = store.get("leaf", proxy.Proxy?.DestinationServiceName ?? "")?.value;
          return proxyStatus(proxy, liveness.state(proxy.ID), proxies.warnings(proxy.ID), leaf);
        }),
      issueIdentity: (proxyId, request, tokenAccessor) =>
        issueIdentity(
          {
            store,
            datacenter,
            proxy: index.proxy,
            clientCertificate: controlCa.clientCertificate,
            controlRoot: controlCa.root,
            controlPlane,
            bootstrap,
          },
          proxyId,
          request,
          tokenAccessor,
        ),
    },
    status: readiness.status,
    join: () => ({
      Datacenter: datacenter,
      ControlRoot: controlCa.root,
      Address: `${config.wanAddress}:${config.ports.server}`,
    }),
    ttl: own(createTtl({ store, node: node.Node, clock: monotonicClock, onError }), (part) => part.close()),
    ...(federation.forget ? { forgetDatacenter: federation.forget } : {}),
    gauges: () =>
      gauges({
        store,
        datacenter,
        proxies: index.proxies,
        state: liveness.state,
        xds: xds.counters,
        serverCertificate: () => shown,
        ...(federation.replication ? { replication: federation.replication } : {}),
        connected: federation.connected,
        now: Date.now,
      }),
    clock: monotonicClock,
    uuid: randomUUID,
    log,
  });
  const onReaped = (service: string, check: string): void =>
    log.info({ service, check }, "critical for too long: deregistered");
  own(createReaper({ store, node: node.Node, clock: monotonicClock, onReaped, onError }), (part) => part.close());
  own(createAliases({ store, node: node.Node, onError }), (part) => part.close());

  const servers = await Promise.all([
    ...config.bind.map((host) =>
      serveHttps(api, {
        host,
        port: config.ports.https,
        certificate: { cert: certificate.chain, key: certificate.privateKey },
      }),
    ),
    serveUnix(api, socketPath),
  ]);
  for (const server of servers) own(server, (part) => part.close());
  // Before its servers: who waits is told, and only then cut off.
  own(api, (part) => part.close());
  await federation.start(config.bind, certificate, connectCa.handleSignIntermediate);
  connectCa
    .start()
    .then(() => readiness.changed())
    .catch(onError);
  if (config.ports.grpcTls > 0) for (const host of config.bind) await xds.listen(host, config.ports.grpcTls);
  readiness.listening();
  log.info({ datacenter, primary: config.primaryDatacenter }, "control plane is listening");

  return {
    close: async () => {
      for (const close of closing.reverse()) {
        try {
          await close();
        } catch (error) {
          onError(error);
        }
      }
    },
  };
}

async function nodeId(store: ReturnType<typeof openSqliteStore>): Promise<string> {
  const known = store.get("fact", "node-id")?.value.Value;
  if (known) return known;
  const made = randomUUID();
  await store.txn([{ op: "set", kind: "fact", key: "node-id", value: { Value: made } }]);
  return made;
}
