/** A session as a client of Consul's HTTP API has it: nothing but fetch, HTTPS with the pinned control CA root, and tokens. */
import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setDefaultCACertificates } from "node:tls";
import type { JoinResponse } from "../../provider/src/model/isthmus-api.ts";
import { type ControlPlane, controlPlaneConfig, loopback, startControlPlane } from "../support/control-planes.ts";

// biome-ignore lint/suspicious/noExplicitAny: a client's view of JSON
type Json = any;

/** The rules of the tutorial, in Consul's two forms. */
const rules = {
  json: '{ "acl": "write", "operator": "write", "service_prefix": { "": { "policy": "read" } } }',
  hcl: 'service_prefix "" { policy = "read" }\nnode_prefix "" { policy = "read" }\nservice "mesh-gateway" { policy = "write" }',
};

describe("a session of a Consul client", { timeout: 60_000 }, () => {
  let controlPlane: ControlPlane;
  let url = "";
  let management = "";
  const ask = async (method: string, path: string, body?: unknown, token = management) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: token ? { "X-Consul-Token": token } : {},
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const json: Json = response.headers.get("content-type")?.startsWith("application/json") ? JSON.parse(text) : text;
    return { status: response.status, json, index: Number(response.headers.get("x-consul-index")) };
  };
  const good = async (method: string, path: string, body?: unknown, token?: string): Promise<Json> => {
    const { status, json } = await ask(method, path, body, token);
    assert.equal(status, 200, `${method} ${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  };
  before(async () => {
    const address = loopback().address(1);
    controlPlane = await startControlPlane(controlPlaneConfig("dc1", address, randomBytes(4).toString("hex")));
    await controlPlane.ready();
    setDefaultCACertificates([(await controlPlane.operator.get<JoinResponse>("/v1/isthmus/join")).ControlRoot]);
    url = `https://${address}:${controlPlane.config.ports.https}`;
  });
  after(async () => {
    await controlPlane?.[Symbol.asyncDispose]();
  });

  test("acl: bootstrap once, policies in HCL and JSON, tokens with just their rights", async () => {
    assert.equal((await ask("PUT", "/v1/agent/service/register", { Name: "web" }, "")).status, 403, "default deny");
    assert.equal((await ask("PUT", "/v1/acl/bootstrap", undefined, "")).status, 403, "not for whoever is first");
    const bootstrap = await controlPlane.operator.put("/v1/acl/bootstrap");
    management = bootstrap.SecretID;
    assert.deepEqual(
      bootstrap.Policies.map((policy: Json) => policy.Name),
      ["global-management"],
    );
    assert.equal((await ask("PUT", "/v1/acl/bootstrap")).status, 403, "only once");

    const replication = await good("PUT", "/v1/acl/policy", { Name: "replication", Rules: rules.json });
    const gateway = await good("PUT", "/v1/acl/policy", { Name: "mesh-gateway", Rules: rules.hcl });
    assert.equal((await good("GET", `/v1/acl/policy/${gateway.ID}`)).Rules, rules.hcl);
    assert.equal((await good("GET", "/v1/acl/policy/name/replication")).ID, replication.ID);
    assert.equal((await ask("PUT", "/v1/acl/policy", { Name: "bad", Rules: "service {" })).status, 400);

    const token = await good("PUT", "/v1/acl/token", { Description: "gateway", Policies: [{ Name: "mesh-gateway" }] });
    assert.equal((await good("GET", "/v1/acl/token/self", undefined, token.SecretID)).AccessorID, token.AccessorID);
    const register = (Name: string) =>
      ask("PUT", "/v1/agent/service/register", { Kind: "mesh-gateway", Name, Port: 8443 }, token.SecretID);
    assert.equal((await register("mesh-gateway")).status, 200);
    assert.equal((await register("another")).status, 403);
    assert.equal((await ask("GET", "/v1/acl/tokens", undefined, token.SecretID)).status, 403);
    assert.equal((await ask("GET", "/v1/catalog/services", undefined, "unknown")).status, 403);
  });

  test("services: register, health, maintenance, deregister", async () => {
    const token = (await good("PUT", "/v1/acl/token", { ServiceIdentities: [{ ServiceName: "web" }] })).SecretID;
    const body = { Name: "web", ID: "web-1", Port: 8080, Address: "127.0.0.9", Tags: ["v1"], Check: { TTL: "30s" } };
    await good("PUT", "/v1/agent/service/register", body, token);
    const service = await good("GET", "/v1/agent/service/web-1", undefined, token);
    assert.partialDeepStrictEqual(service, { Service: "web", Port: 8080, Tags: ["v1"], Datacenter: "dc1" });
    assert.deepEqual((await good("GET", "/v1/catalog/services"))["web"], ["v1"]);
    assert.deepEqual(await good("GET", "/v1/health/service/web?passing"), []);
    await good("PUT", "/v1/agent/check/pass/service:web-1?note=well", undefined, token);
    const [instance] = await good("GET", "/v1/health/service/web?passing", undefined, token);
    assert.deepEqual([instance.Service.ID, instance.Node.Datacenter], ["web-1", "dc1"]);
    await good("PUT", "/v1/agent/service/maintenance/web-1?enable=true&reason=work", undefined, token);
    assert.deepEqual(await good("GET", "/v1/health/service/web?passing"), []);
    await good("PUT", "/v1/agent/service/maintenance/web-1?enable=false", undefined, token);
    assert.equal((await ask("PUT", "/v1/agent/service/register", { Name: "db" }, token)).status, 403);
  });

  test("a blocking query returns on the change, and not before", async () => {
    const first = await ask("GET", "/v1/health/service/web");
    let returned = 0;
    const waiting = ask("GET", `/v1/health/service/web?index=${first.index}&wait=20s`).then((answer) => {
      returned = performance.now();
      return answer;
    });
    await good("PUT", "/v1/config", { Kind: "service-defaults", Name: "elsewhere" });
    assert.equal(returned, 0, "what it does not ask for does not wake it");
    const changed = performance.now();
    await good("PUT", "/v1/agent/check/warn/service:web-1");
    const answer = await waiting;
    console.log(`blocking query answered ${(returned - changed).toFixed(1)} ms after the write was sent`);
    assert.ok(answer.index > first.index);
    assert.ok(answer.json[0].Checks.some((check: Json) => check.Status === "warning"));
    const timedOut = await ask("GET", `/v1/health/service/web?index=${answer.index}&wait=200ms`);
    assert.equal(timedOut.index, answer.index);
  });

  test("config entries with cas, and intentions with precedence", async () => {
    const write = (cas: number, Mode: string) =>
      good("PUT", `/v1/config?cas=${cas}`, { Kind: "proxy-defaults", Name: "global", MeshGateway: { Mode } });
    assert.equal(await write(0, "local"), true);
    assert.equal(await write(0, "remote"), false);
    const { ModifyIndex } = await good("GET", "/v1/config/proxy-defaults/global");
    assert.equal(await write(ModifyIndex, "remote"), true);
    assert.equal((await good("GET", "/v1/config/proxy-defaults/global")).MeshGateway.Mode, "remote");
    assert.equal((await good("GET", "/v1/config/proxy-defaults")).length, 1);
    assert.deepEqual(await good("DELETE", "/v1/config/proxy-defaults/global"), {});
    assert.equal((await ask("GET", "/v1/config/proxy-defaults/global")).status, 404);

    await good("PUT", "/v1/connect/intentions/exact?source=*&destination=db", { Action: "deny" });
    await good("PUT", "/v1/connect/intentions/exact?source=web&destination=db", { Action: "allow" });
    const allowed = async (source: string) =>
      (await good("GET", `/v1/connect/intentions/check?source=${source}&destination=db`)).Allowed;
    assert.deepEqual([await allowed("web"), await allowed("other")], [true, false]);
    const found = await good("GET", "/v1/connect/intentions");
    assert.deepEqual(
      found.map((one: Json) => [one.SourceName, one.DestinationName, one.Action, one.Precedence]),
      [
        ["web", "db", "allow", 9],
        ["*", "db", "deny", 8],
      ],
    );
    const match = await good("GET", "/v1/connect/intentions/match?by=destination&name=db");
    assert.equal(match["db"].length, 2);
  });

  test("the Connect CA: roots, a leaf that they sign, and authorize", async () => {
    const { Roots, ActiveRootID, TrustDomain } = await good("GET", "/v1/connect/ca/roots", undefined, "");
    const root = Roots.find((one: Json) => one.ID === ActiveRootID);
    const leaf = await good("GET", "/v1/agent/connect/ca/leaf/web");
    const certificate = new X509Certificate(leaf.CertPEM);
    assert.ok(certificate.verify(new X509Certificate(root.RootCert).publicKey));
    assert.equal(leaf.ServiceURI, `spiffe://${TrustDomain}/ns/default/dc/dc1/svc/web`);
    assert.equal(certificate.subjectAltName, `URI:${leaf.ServiceURI}`);
    assert.equal((await good("GET", "/v1/agent/connect/ca/leaf/web")).SerialNumber, leaf.SerialNumber);
    assert.equal((await ask("GET", "/v1/agent/connect/ca/leaf/web", undefined, "")).status, 403);

    const authorize = (Target: string, uri: string) =>
      good("POST", "/v1/agent/connect/authorize", { Target, ClientCertURI: uri, ClientCertSerial: leaf.SerialNumber });
    assert.equal((await authorize("db", leaf.ServiceURI)).Authorized, true);
    assert.equal((await authorize("db", leaf.ServiceURI.replace("/svc/web", "/svc/other"))).Authorized, false);
    assert.equal((await authorize("web", leaf.ServiceURI)).Authorized, false, "default deny");
    assert.equal((await authorize("db", leaf.ServiceURI.replace(TrustDomain, "elsewhere.consul"))).Authorized, false);
  });

  test("status, self and metrics", async () => {
    assert.match(await good("GET", "/v1/status/leader", undefined, ""), /:8300$/);
    assert.equal((await good("GET", "/v1/agent/self")).Config.Datacenter, "dc1");
    const { Gauges } = await good("GET", "/v1/agent/metrics");
    const left = Object.fromEntries(
      Gauges.filter((one: Json) => one.Name === "isthmus.certificates.seconds_to_expiry").map((one: Json) => [
        one.Labels.certificate,
        one.Value,
      ]),
    );
    assert.ok(left["connect-leaf"] > 3_000 && left["connect-leaf"] <= 3_600, JSON.stringify(left));
    assert.ok(left["connect-root"] > 800_000 && left["control-server"] > 0, JSON.stringify(left));
    const text = await (
      await fetch(`${url}/v1/agent/metrics?format=prometheus`, { headers: { "X-Consul-Token": management } })
    ).text();
    assert.match(text, /^isthmus_certificates_seconds_to_expiry\{certificate="connect-leaf"\} \d+$/m);
  });

  test("a stop answers who waits with 503 and exits with 0", async () => {
    const { index } = await ask("GET", "/v1/catalog/services");
    const waiting = ask("GET", `/v1/catalog/services?index=${index}&wait=60s`);
    // Sent after it and answered before: by then it is there.
    for (let later = 0; later < 10; later += 1) await good("GET", "/v1/catalog/services");
    const [answer, code] = await Promise.all([waiting, controlPlane.stop()]);
    assert.deepEqual([answer.status, code], [503, 0]);
  });
});
