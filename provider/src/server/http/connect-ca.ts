/** The Connect CA's paths: roots, leaves, configuration, and the question whether a certificate may call a service. */
import { z } from "zod";
import { decidingIntention } from "../../catalog/intentions.ts";
import { indexes } from "../../catalog/json.ts";
import { MeshError } from "../../model/errors.ts";
import { parseSpiffeId, spiffeId } from "../../model/identity.ts";
import { blockingRead, storeSource } from "./blocking.ts";
import { type Call, flag, json, param, type Reply, type Route } from "./call.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { apiObject, serviceName } from "./fields.ts";
import { allIntentions, defaultAction } from "./intentions.ts";
import { parseAs } from "./json-body.ts";
import { demandOperatorRead, demandServiceWrite } from "./permissions.ts";

const authorization = apiObject({
  Target: serviceName,
  ClientCertURI: z.string().max(2048, "is longer than 2048 characters"),
  ClientCertSerial: z.string().max(256).exactOptional(),
});

export function connectCaRoutes(deps: ApiDependencies): readonly Route[] {
  const { store, connectCa } = deps;

  const roots = (call: Call): Promise<Reply> => {
    const pem = flag(call, "pem");
    return blockingRead(call, storeSource(store, [{ kind: "ca-root" }]), () => {
      const known = connectCa.roots();
      if (pem)
        return {
          text: known.map((root) => root.RootCert.trimEnd()).join("\n"),
          contentType: "application/pem-certificate-chain",
        };
      const Roots = known.map((root) => {
        const record = store.get("ca-root", root.ID);
        return { ...root, ...(record ? indexes(record) : {}) };
      });
      return json({
        ActiveRootID: known.find((root) => root.Active)?.ID ?? "",
        TrustDomain: deps.trustDomain(),
        Roots,
      });
    });
  };

  const leaf = (call: Call): Promise<Reply> => {
    const service = param(call, "service");
    if (!serviceName.safeParse(service).success)
      throw new MeshError("invalid", `${JSON.stringify(service.slice(0, 80))} is no service name`);
    return blockingRead(call, storeSource(store, [{ kind: "leaf", prefix: service }]), async (authorizer) => {
      demandServiceWrite(authorizer, service);
      const issued = await connectCa.leaf(service);
      const record = store.get("leaf", service);
      return json({
        SerialNumber: issued.SerialNumber,
        CertPEM: issued.Chain.map((pem) => pem.trimEnd())
          .join("\n")
          .concat("\n"),
        PrivateKeyPEM: issued.PrivateKey,
        Service: service,
        ServiceURI: spiffeId({ trustDomain: deps.trustDomain(), datacenter: deps.datacenter, service }),
        ValidAfter: issued.NotBefore,
        ValidBefore: issued.NotAfter,
        ...(record ? indexes(record) : {}),
      });
    });
  };

  const configuration = (call: Call): Reply => {
    demandOperatorRead(call.authorizer());
    const index = Math.max(1, store.lastIndex("ca-root"));
    return json({ Provider: "consul", Config: connectCa.configuration(), CreateIndex: index, ModifyIndex: index });
  };

  const authorize = async (call: Call): Promise<Reply> => {
    const authorizer = call.authorizer();
    const { Target, ClientCertURI } = parseAs(authorization, await call.json());
    demandServiceWrite(authorizer, Target);
    const identity = parseSpiffeId(ClientCertURI);
    if (!identity)
      throw new MeshError(
        "invalid",
        "ClientCertURI: must be spiffe://<trust domain>/ns/default/dc/<datacenter>/svc/<service>",
      );
    if (identity.trustDomain !== deps.trustDomain()) {
      return json({ Authorized: false, Reason: `Identity from an external trust domain: ${identity.trustDomain}` });
    }
    const decided = decidingIntention(allIntentions(store), identity.service, Target);
    if (!decided) {
      const action = defaultAction(deps);
      return json({ Authorized: action === "allow", Reason: `Default behavior configured by ACLs: ${action}` });
    }
    const pair = `${decided.SourceName} => ${decided.DestinationName}`;
    return json({
      Authorized: decided.Action === "allow",
      Reason: `Matched intention: ${decided.Action.toUpperCase()} ${pair} (Precedence: ${decided.Precedence})`,
    });
  };

  return [
    { method: "GET", path: "/v1/connect/ca/roots", handle: roots },
    { method: "GET", path: "/v1/agent/connect/ca/roots", handle: roots },
    { method: "GET", path: "/v1/agent/connect/ca/leaf/:service", handle: leaf },
    { method: "GET", path: "/v1/connect/ca/configuration", handle: configuration },
    { method: "POST", path: "/v1/agent/connect/authorize", handle: authorize },
  ];
}
