/** `/v1/agent/check*`: checks on the control plane's own node, and reports on TTL checks. */
import { z } from "zod";
import { checkKey, keepStatus, recordOfCheck } from "../../catalog/checks.ts";
import { checkJson } from "../../catalog/json.ts";
import { deleteCurrent, setCurrent, transact } from "../../catalog/transact.ts";
import type { Authorizer } from "../../model/authorizer.ts";
import { MeshError } from "../../model/errors.ts";
import type { CheckRecord, CheckStatus } from "../../model/records.ts";
import { blockingRead, storeSource } from "./blocking.ts";
import { type Call, json, param, type Reply, type Route, written } from "./call.ts";
import { standaloneCheck } from "./check-definition.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { apiObject } from "./fields.ts";
import { parseAs } from "./json-body.ts";
import { demandNodeWrite, demandServiceWrite } from "./permissions.ts";

/** Longest output that a report may bring, in characters; the rest is cut off. */
const maxOutput = 4096;

const report = apiObject({
  Status: z.enum(["passing", "warning", "critical"], { error: 'must be "passing", "warning" or "critical"' }),
  Output: z.string().default(""),
});

export function agentCheckRoutes(deps: ApiDependencies): readonly Route[] {
  const { store, node } = deps;
  const prefix = `${node.Node}/`;
  const source = storeSource(store, [
    { kind: "check", prefix },
    { kind: "service", prefix },
  ]);
  const find = (id: string): CheckRecord => {
    const check = store.get("check", `${prefix}${id}`)?.value;
    if (!check)
      throw new MeshError(
        "not_found",
        `Unknown check ID ${JSON.stringify(id)}. Ensure that the check ID is passed, not the check name.`,
      );
    return check;
  };
  const demandWrite = (authorizer: Authorizer, check: Pick<CheckRecord, "ServiceID" | "ServiceName">): void => {
    if (check.ServiceID) demandServiceWrite(authorizer, check.ServiceName);
    else demandNodeWrite(authorizer, node.Node);
  };

  const register = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const { check, serviceId } = parseAs(standaloneCheck, await call.json());
    const commit = await transact(store, () => {
      const service = serviceId ? store.get("service", `${prefix}${serviceId}`)?.value : undefined;
      if (serviceId && !service)
        throw new MeshError(
          "not_found",
          `ServiceID ${JSON.stringify(serviceId)} does not exist; register the service first`,
        );
      const record = recordOfCheck(check, { node: node.Node, ...(service ? { service } : {}) }, check.Name ?? "");
      demandWrite(authorizer, record);
      const before = store.get("check", checkKey(record))?.value;
      if (before) demandWrite(authorizer, before);
      if (before?.Type === "proxy")
        throw new MeshError("invalid", `check id "${record.CheckID}" is the control plane's own; choose another`);
      return [
        setCurrent(store, "node", node.Node, node),
        setCurrent(store, "check", checkKey(record), keepStatus(record, before)),
      ];
    });
    return written(commit.index);
  };

  const deregister = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const commit = await transact(store, () => {
      const check = find(param(call, "id"));
      demandWrite(authorizer, check);
      if (check.Type === "proxy")
        throw new MeshError("invalid", `check "${check.CheckID}" is the control plane's own; it goes with its proxy`);
      return [deleteCurrent(store, "check", checkKey(check))];
    });
    return written(commit.index);
  };

  const setStatus = async (call: Call, status: CheckStatus, output: string): Promise<Reply> => {
    const authorizer = call.authorizer();
    const key = `${prefix}${param(call, "id")}`;
    const commit = await transact(store, () => {
      const check = find(param(call, "id"));
      demandWrite(authorizer, check);
      if (check.Type !== "ttl")
        throw new MeshError(
          "invalid",
          `check "${check.CheckID}" does not have associated TTL: only TTL checks take reports`,
        );
      return [setCurrent(store, "check", key, { ...check, Status: status, Output: output.slice(0, maxOutput) })];
    });
    deps.ttl.refresh(key);
    return written(commit.index);
  };
  const noted = (status: CheckStatus) => (call: Call) => setStatus(call, status, call.query.get("note") ?? "");

  const update = async (call: Call): Promise<Reply> => {
    const { Status, Output } = parseAs(report, await call.json());
    return setStatus(call, Status, Output);
  };

  const list = (call: Call): Promise<Reply> =>
    blockingRead(call, source, (authorizer) => {
      const shown = store.list("check", prefix).filter(({ value }) => {
        return value.ServiceID ? authorizer.serviceRead(value.ServiceName) : authorizer.nodeRead(value.Node);
      });
      const tags = (id: string) => store.get("service", `${prefix}${id}`)?.value.Tags ?? [];
      return json(
        Object.fromEntries(shown.map((one) => [one.value.CheckID, checkJson(one, tags(one.value.ServiceID))])),
      );
    });

  return [
    { method: "GET", path: "/v1/agent/checks", handle: list },
    { method: "PUT", path: "/v1/agent/check/register", handle: register },
    { method: "PUT", path: "/v1/agent/check/deregister/:id", handle: deregister },
    { method: "PUT", path: "/v1/agent/check/pass/:id", handle: noted("passing") },
    { method: "PUT", path: "/v1/agent/check/warn/:id", handle: noted("warning") },
    { method: "PUT", path: "/v1/agent/check/fail/:id", handle: noted("critical") },
    { method: "PUT", path: "/v1/agent/check/update/:id", handle: update },
  ];
}
