/** `/v1/agent/service*`: services on the control plane's own node. */
import { createHash } from "node:crypto";
import { checkKey, maintenanceCheck, maintenanceCheckId } from "../../catalog/checks.ts";
import type { ServiceInput } from "../../catalog/definitions.ts";
import { type ServiceJson, serviceJson } from "../../catalog/json.ts";
import { recordsOfDeregistration } from "../../catalog/registration.ts";
import {
  checksOn,
  deregistrationChanges,
  registrationChanges,
  servicesOn,
} from "../../catalog/registration-changes.ts";
import { deleteCurrent, setCurrent, transact } from "../../catalog/transact.ts";
import type { Authorizer } from "../../model/authorizer.ts";
import { MeshError } from "../../model/errors.ts";
import type { ServiceRecord } from "../../model/records.ts";
import type { Stored } from "../../store/store.ts";
import { blockingOptions, blockingRead, storeSource } from "./blocking.ts";
import { type Call, flag, json, param, type Reply, type Route, written } from "./call.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { parseAs } from "./json-body.ts";
import { demandServiceRead, demandServiceWrite } from "./permissions.ts";
import type { Serial } from "./serial.ts";
import { serviceDefinition } from "./service-definition.ts";

export function agentServiceRoutes(deps: ApiDependencies, serial: Serial): readonly Route[] {
  const { store, node } = deps;
  const source = storeSource(store, [{ kind: "service", prefix: `${node.Node}/` }]);
  const find = (id: string): Stored<"service"> => {
    const service = store.get("service", `${node.Node}/${id}`);
    if (!service)
      throw new MeshError(
        "not_found",
        `unknown service ID: ${JSON.stringify(id)}; GET /v1/agent/services lists those of this node`,
      );
    return service;
  };

  const register = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const { service, token } = parseAs(serviceDefinition, await call.json());
    const replaceExistingChecks = flag(call, "replace-existing-checks");
    const owner = token === undefined ? authorizer : deps.acl.resolve(token);
    // Two registrations at once must not get the same sidecar port, and no record of the one is touched by the other.
    const commit = await serial(() =>
      transact(store, () => {
        for (const who of new Set([authorizer, owner])) demandRegistration(who, service, servicesOn(store, node.Node));
        return registrationChanges(store, node, service, { tokenAccessor: owner.accessor, replaceExistingChecks });
      }),
    );
    return written(commit.index);
  };

  const deregister = async (call: Call): Promise<Reply> => {
    const id = param(call, "id");
    const authorizer = call.authorizer();
    const commit = await serial(() =>
      transact(store, () => {
        find(id);
        const gone = recordsOfDeregistration(id, { services: servicesOn(store, node.Node), checks: [] });
        for (const service of gone.services.filter((one) => one.ID === id))
          demandServiceWrite(authorizer, service.Service);
        return deregistrationChanges(store, node.Node, id);
      }),
    );
    return written(commit.index);
  };

  const maintenance = async (call: Call): Promise<Reply> => {
    const id = param(call, "id");
    const authorizer = call.authorizer();
    if (!call.query.has("enable"))
      throw new MeshError("invalid", 'Missing value for "enable": write ?enable=true or ?enable=false');
    const enable = flag(call, "enable");
    const reason = (call.query.get("reason") ?? "").slice(0, 512);
    const commit = await transact(store, () => {
      const service = find(id).value;
      demandServiceWrite(authorizer, service.Service);
      const check = maintenanceCheck(service, reason);
      if (enable) return [setCurrent(store, "check", checkKey(check), check)];
      return checksOn(store, node.Node)
        .filter((one) => one.CheckID === maintenanceCheckId(id))
        .map((one) => deleteCurrent(store, "check", checkKey(one)));
    });
    return written(commit.index);
  };

  const list = (call: Call): Promise<Reply> =>
    blockingRead(call, source, (authorizer) => {
      const services = store
        .list("service", `${node.Node}/`)
        .filter((one) => authorizer.serviceRead(one.value.Service));
      return json(Object.fromEntries(services.map((one) => [one.value.ID, agentService(one, deps.datacenter)])));
    });

  const get = async (call: Call): Promise<Reply> => {
    const id = param(call, "id");
    const view = (authorizer: Authorizer): Reply => {
      const service = find(id);
      demandServiceRead(authorizer, service.value.Service);
      const shown = agentService(service, deps.datacenter);
      return { json: shown, headers: { "X-Consul-ContentHash": shown.ContentHash } };
    };
    const hash = call.query.get("hash");
    const first = view(call.authorizer());
    if (hash === null || hash === "" || first.headers?.["X-Consul-ContentHash"] !== hash)
      return blockingRead(call, source, view);
    // Consul's other form of waiting: until the content has another hash.
    const query = new URLSearchParams(call.query);
    query.set("index", "1");
    const until = deps.clock.now() + (blockingOptions(query)?.waitMs ?? 0);
    for (;;) {
      const left = until - deps.clock.now();
      if (left <= 0) return view(call.authorizer());
      await source.wait(Math.max(1, source.index()), left, call.signal);
      const reply = view(call.authorizer());
      if (reply.headers?.["X-Consul-ContentHash"] !== hash) return reply;
    }
  };

  return [
    { method: "PUT", path: "/v1/agent/service/register", handle: register },
    { method: "PUT", path: "/v1/agent/service/deregister/:id", handle: deregister },
    { method: "PUT", path: "/v1/agent/service/maintenance/:id", handle: maintenance },
    { method: "GET", path: "/v1/agent/services", handle: list },
    { method: "GET", path: "/v1/agent/service/:id", handle: get },
  ];
}

/** Write on the service's name, on that of its sidecar, on whatever the id stood for before, and on what a proxy stands before. */
function demandRegistration(authorizer: Authorizer, service: ServiceInput, present: readonly ServiceRecord[]): void {
  const id = service.ID || service.Name;
  demandServiceWrite(authorizer, service.Name);
  const destination = service.Kind === "connect-proxy" ? service.Proxy?.DestinationServiceName : undefined;
  if (destination) demandServiceWrite(authorizer, destination);
  const sidecar = service.Connect?.SidecarService;
  if (sidecar) demandServiceWrite(authorizer, sidecar.Name || `${service.Name}-sidecar-proxy`);
  for (const before of present) {
    if (before.ID === id) demandServiceWrite(authorizer, before.Service);
  }
}

/** A service as the agent shows it; the hash changes with its content and nothing else. */
function agentService(
  service: Stored<"service">,
  datacenter: string,
): ServiceJson & { readonly Datacenter: string; readonly ContentHash: string } {
  const { CreateIndex: _create, ModifyIndex: _modify, ...content } = serviceJson(service);
  const hash = createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 16);
  return { ...serviceJson(service), Datacenter: datacenter, ContentHash: hash };
}
