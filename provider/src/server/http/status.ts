/** `/v1/status/*`, `/v1/agent/self`, `members` and `metrics`: the control plane about itself. */
import { MeshError } from "../../model/errors.ts";
import { type Call, json, type Reply, type Route } from "./call.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { type ApiMetrics, metricsJson, metricsText } from "./metrics.ts";
import { demandNodeRead } from "./permissions.ts";

export function statusRoutes(deps: ApiDependencies, metrics: ApiMetrics): readonly Route[] {
  const { node } = deps;
  const at = deps.serverAddress.lastIndexOf(":");
  const member = {
    Name: node.Node,
    Addr: deps.serverAddress.slice(0, at),
    Port: Number(deps.serverAddress.slice(at + 1)),
    Tags: { role: "consul", dc: deps.datacenter, id: node.ID, build: deps.version },
    Status: 1,
    ProtocolMin: 1,
    ProtocolMax: 5,
    ProtocolCur: 2,
    DelegateMin: 2,
    DelegateMax: 5,
    DelegateCur: 4,
  };

  const self = (call: Call): Reply => {
    demandNodeRead(call.authorizer(), node.Node);
    return json({
      Config: {
        Datacenter: deps.datacenter,
        PrimaryDatacenter: deps.primaryDatacenter,
        NodeName: node.Node,
        NodeID: node.ID,
        Revision: "",
        Server: true,
        Version: deps.version,
      },
      Member: member,
      Meta: node.Meta ?? {},
      Stats: { isthmus: { version: deps.version, index: String(deps.store.index) } },
    });
  };

  const members = (call: Call): Reply => json(call.authorizer().nodeRead(node.Node) ? [member] : []);

  const figures = (call: Call): Reply => {
    demandNodeRead(call.authorizer(), node.Node);
    const format = call.query.get("format");
    if (format === "prometheus")
      return { text: metricsText(metrics, deps.gauges()), contentType: "text/plain; version=0.0.4; charset=utf-8" };
    if (format)
      throw new MeshError("invalid", `format ${JSON.stringify(format.slice(0, 40))}: must be prometheus or absent`);
    return json(metricsJson(metrics, deps.gauges()));
  };

  return [
    { method: "GET", path: "/v1/status/leader", handle: () => json(deps.serverAddress) },
    { method: "GET", path: "/v1/status/peers", handle: () => json([deps.serverAddress]) },
    { method: "GET", path: "/v1/agent/self", handle: self },
    { method: "GET", path: "/v1/agent/members", handle: members },
    { method: "GET", path: "/v1/agent/metrics", handle: figures },
  ];
}
