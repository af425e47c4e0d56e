/** `/v1/health/*`: instances with their checks. */
import { type Instance, instanceStatus } from "../../catalog/health.ts";
import { checkJson, checkServiceNode } from "../../catalog/json.ts";
import type { Authorizer } from "../../model/authorizer.ts";
import { MeshError } from "../../model/errors.ts";
import type { CheckRecord, ServiceRecord } from "../../model/records.ts";
import type { Stored } from "../../store/store.ts";
import { blockingRead, storeSource } from "./blocking.ts";
import { type Call, flag, json, param, type Reply, type Route } from "./call.ts";
import { instancesRead, queryFilter, standsBefore, visibleInstances } from "./catalog.ts";
import type { ApiDependencies } from "./dependencies.ts";

const states = ["any", "passing", "warning", "critical"] as const;

export function healthRoutes(deps: ApiDependencies): readonly Route[] {
  const { store } = deps;

  const byName = (call: Call, filter: (service: ServiceRecord) => boolean): Promise<Reply> => {
    const passing = flag(call, "passing");
    const wanted = queryFilter(call);
    return blockingRead(call, storeSource(store, instancesRead(call)), (authorizer) => {
      if (!authorizer.serviceRead(param(call, "name"))) return json([]);
      const found = visibleInstances(store, call, authorizer, filter).filter(
        (one) => wanted(one) && (!passing || instanceStatus(one) === "passing"),
      );
      return json(found.map((one: Instance) => checkServiceNode(one)));
    });
  };
  const service = (call: Call): Promise<Reply> => byName(call, (one) => one.Service === param(call, "name"));
  const connect = (call: Call): Promise<Reply> => byName(call, standsBefore(param(call, "name")));

  const checks = (call: Call, wanted: (check: CheckRecord) => boolean): Promise<Reply> =>
    blockingRead(call, storeSource(store, [{ kind: "check" }, { kind: "service" }]), (authorizer) => {
      const shown = store.list("check").filter((check) => wanted(check.value) && canRead(authorizer, check));
      return json(shown.map((check) => checkJson(check, tagsOf(check.value))));
    });
  const tagsOf = (check: CheckRecord): readonly string[] =>
    check.ServiceID ? (store.get("service", `${check.Node}/${check.ServiceID}`)?.value.Tags ?? []) : [];

  const state = (call: Call): Promise<Reply> => {
    const name = states.find((one) => one === param(call, "state"));
    if (!name)
      throw new MeshError(
        "invalid",
        `state ${JSON.stringify(param(call, "state"))}: must be one of ${states.join(", ")}`,
      );
    return checks(call, (check) => name === "any" || check.Status === name);
  };

  return [
    { method: "GET", path: "/v1/health/service/:name", anyDatacenter: true, handle: service },
    { method: "GET", path: "/v1/health/connect/:name", anyDatacenter: true, handle: connect },
    {
      method: "GET",
      path: "/v1/health/node/:node",
      handle: (call) => checks(call, (one) => one.Node === param(call, "node")),
    },
    {
      method: "GET",
      path: "/v1/health/checks/:name",
      handle: (call) => checks(call, (one) => one.ServiceName === param(call, "name")),
    },
    { method: "GET", path: "/v1/health/state/:state", handle: state },
  ];
}

function canRead(authorizer: Authorizer, { value }: Stored<"check">): boolean {
  return authorizer.nodeRead(value.Node) && (value.ServiceID === "" || authorizer.serviceRead(value.ServiceName));
}
