/** The service as the engine calls it, over real gRPC: what goes in and out, failures, previews, timeouts and cancelling. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import { unknownValue } from "@isthmus/sdk/spec";
import pluginPb from "@pulumi/pulumi/proto/plugin_pb.js";
import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import providerPb from "@pulumi/pulumi/proto/provider_pb.js";
import statusPb from "@pulumi/pulumi/proto/status_pb.js";
import emptyPb from "google-protobuf/google/protobuf/empty_pb.js";
import structPb from "google-protobuf/google/protobuf/struct_pb.js";
import { openTestMesh, type TestMesh } from "../handlers.test.mesh.ts";
import type { StructObject } from "./failure.ts";
import { createProviderService } from "./service.ts";

type Client = InstanceType<typeof providerService.ResourceProviderClient>;
type Json = Record<string, unknown>;

const mesh = "0123abcd";
const secretMark = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };
const secret = (value: unknown) => ({ ...secretMark, value });
const urn = (noun: string, name: string) => `urn:pulumi:s::p::isthmus:index:${noun}::${name}`;
const owner = (resource: string) => ({ project: "p", stack: "s", resource, mesh });
const struct = (value: Json) => structPb.Struct.fromJavaScript(value as StructObject);
const json = (value: structPb.Struct | undefined) => value?.toJavaScript() as Json;

let world: TestMesh & AsyncDisposable;
let server: grpc.Server;
let client: Client;
let projectMesh: string | undefined = mesh;
const said: string[] = [];

/** A call of the client as a promise. */
function call<Response>(method: keyof Client & string, request: unknown): Promise<Response> {
  const make = Reflect.get(client, method) as (
    request: unknown,
    callback: (error: Error | null, response: Response) => void,
  ) => void;
  return promisify(make.bind(client))(request) as Promise<Response>;
}

async function start(): Promise<void> {
  const { handlers } = createProviderService({
    version: "1.2.3",
    context: world.context,
    engine: { log: (at, line) => said.push(`${at} ${line}`) },
    connectEngine: (address) => ({ log: (at, line) => said.push(`${address} ${at} ${line}`) }),
    projectMesh: () => projectMesh,
  });
  server = new grpc.Server();
  server.addService(providerService.ResourceProviderService, handlers);
  const port = await promisify(server.bindAsync.bind(server))("127.0.0.1:0", grpc.ServerCredentials.createInsecure());
  client = new providerService.ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
}

beforeEach(async () => {
  world = await openTestMesh();
  projectMesh = mesh;
  said.length = 0;
  await start();
});
afterEach(async () => {
  client.close();
  server.forceShutdown();
  await world[Symbol.asyncDispose]();
});

async function check(noun: string, name: string, news: Json, olds: Json = {}) {
  const request = new providerPb.CheckRequest();
  request.setUrn(urn(noun, name));
  request.setOlds(struct(olds));
  request.setNews(struct(news));
  const response = await call<providerPb.CheckResponse>("check", request);
  return { inputs: json(response.getInputs()), failures: response.getFailuresList().map((one) => one.toObject()) };
}

async function create(noun: string, name: string, inputs: Json, options: { preview?: boolean; timeout?: number } = {}) {
  const request = new providerPb.CreateRequest();
  request.setUrn(urn(noun, name));
  request.setProperties(struct(inputs));
  request.setPreview(options.preview ?? false);
  request.setTimeout(options.timeout ?? 0);
  const response = await call<providerPb.CreateResponse>("create", request);
  return { id: response.getId(), props: json(response.getProperties()) };
}

async function make(noun: string, name: string, given: Json) {
  const { inputs, failures } = await check(noun, name, given);
  assert.deepEqual(failures, []);
  return { inputs, ...(await create(noun, name, inputs)) };
}

async function diff(noun: string, name: string, olds: Json, news: Json) {
  const request = new providerPb.DiffRequest();
  request.setUrn(urn(noun, name));
  request.setOlds(struct(olds));
  request.setNews(struct(news));
  const response = await call<providerPb.DiffResponse>("diff", request);
  const kinds = Object.entries(providerPb.PropertyDiff.Kind);
  const detailed: Json = {};
  response.getDetaileddiffMap().forEach((entry, path) => {
    detailed[path] = kinds.find(([, kind]) => kind === entry.getKind())?.[0];
  });
  return {
    changes: response.getChanges() === providerPb.DiffResponse.DiffChanges.DIFF_SOME,
    detailed,
    diffs: response.getDiffsList(),
    replaces: response.getReplacesList(),
    stables: response.getStablesList(),
    deleteFirst: response.getDeletebeforereplace(),
  };
}

/** What the engine records of a creation or update that failed half-way. */
function initFailure(error: grpc.ServiceError) {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  if (bytes === undefined) return undefined;
  const [detail] = statusPb.Status.deserializeBinary(bytes as Buffer).getDetailsList();
  assert.equal(detail!.getTypeName(), "pulumirpc.ErrorResourceInitFailed");
  const failed = providerPb.ErrorResourceInitFailed.deserializeBinary(detail!.getValue_asU8());
  return { id: failed.getId(), props: json(failed.getProperties()), reasons: failed.getReasonsList() };
}

async function failureOf(answer: Promise<unknown>): Promise<grpc.ServiceError> {
  return await answer.then(
    () => assert.fail("it succeeded"),
    (error: grpc.ServiceError) => error,
  );
}

test("who it is: version, schema, secrets, attaching, and no functions", async () => {
  const info = await call<pluginPb.PluginInfo>("getPluginInfo", new emptyPb.Empty());
  assert.equal(info.getVersion(), "1.2.3");
  const handshake = await call<providerPb.ProviderHandshakeResponse>(
    "handshake",
    new providerPb.ProviderHandshakeRequest(),
  );
  assert.equal(handshake.getAcceptSecrets(), true);
  const configured = await call<providerPb.ConfigureResponse>("configure", new providerPb.ConfigureRequest());
  assert.deepEqual([configured.getAcceptsecrets(), configured.getSupportspreview()], [true, true]);
  const { resources } = JSON.parse(
    (await call<providerPb.GetSchemaResponse>("getSchema", new providerPb.GetSchemaRequest())).getSchema(),
  ) as { resources: Json };
  assert.equal(Object.keys(resources).length, 8);
  const invoke = new providerPb.InvokeRequest();
  invoke.setTok("isthmus:index:getDatacenter");
  assert.match((await failureOf(call("invoke", invoke))).details, /no function isthmus:index:getDatacenter/);
  await assert.rejects(
    check("Gateway", "g", {}),
    /there is no resource isthmus:index:Gateway; there are .*MeshGateway/,
  );
  const attach = new pluginPb.PluginAttach();
  attach.setAddress("127.0.0.1:1");
  await call("attach", attach);
});

test("configuration: a mesh id is checked; another one replaces nothing by itself", async () => {
  const request = new providerPb.CheckRequest();
  request.setNews(struct({ mesh: "nonsense" }));
  const response = await call<providerPb.CheckResponse>("checkConfig", request);
  assert.match(response.getFailuresList()[0]!.getReason(), /"nonsense" is no mesh id; use 8 of/);
  request.setNews(struct({ mesh: unknownValue }));
  assert.deepEqual((await call<providerPb.CheckResponse>("checkConfig", request)).getFailuresList(), []);
  const diffed = new providerPb.DiffRequest();
  diffed.setOldInputs(struct({ mesh }));
  diffed.setNews(struct({ mesh: "ffffffff" }));
  assert.deepEqual((await call<providerPb.DiffResponse>("diffConfig", diffed)).getReplacesList(), []);
});

test("check: defaults, name and owner are filled in, secrets stay secret, unknowns pass", async () => {
  const { inputs, failures } = await check("MeshGateway", "g", {
    datacenter: "dc1",
    port: "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    token: "secret whoever says it",
    meta: { a: secret("b") },
    __defaults: [],
  });
  assert.deepEqual(failures, []);
  assert.deepEqual(inputs, {
    datacenter: "dc1",
    name: "g",
    port: unknownValue,
    token: secret("secret whoever says it"),
    meta: { a: secret("b") },
    config: {},
    owner: owner("g"),
  });
  projectMesh = undefined;
  await assert.rejects(check("MeshGateway", "g", { datacenter: "dc1" }), /pulumi config set isthmus:mesh/);
  const configure = new providerPb.ConfigureRequest();
  configure.setArgs(struct({ mesh: "deadbeef" }));
  await call("configure", configure);
  const configured = await check("MeshGateway", "g", { datacenter: "dc1" });
  assert.deepEqual(configured.inputs["owner"], { ...owner("g"), mesh: "deadbeef" });
});

test("check: each failure names its whole path and says what to do", async () => {
  const upstream = { destinationName: "x", localBindPort: 70000 };
  const { failures } = await check("ServiceRegistration", "web", {
    datacenter: "dc1",
    port: 80,
    tagz: 1,
    connect: { sidecarService: { proxy: { upstreams: [upstream] } } },
  });
  assert.deepEqual(failures.map(({ property }) => property).sort(), [
    "connect.sidecarService.proxy.upstreams[0].localBindPort",
    "tagz",
  ]);
  assert.equal(failures[0]!.reason, "70000 is not in 1..65535; choose a free port");
});

test("a preview of a creation makes nothing and shows what is certain", async () => {
  const { inputs } = await check("ServiceRegistration", "web", {
    datacenter: "dc1",
    port: 80,
    connect: { sidecarService: {} },
  });
  const { id, props } = await create("ServiceRegistration", "web", inputs, { preview: true });
  assert.equal(id, "");
  assert.partialDeepStrictEqual(props, { proxyId: "web-sidecar-proxy", running: true, lanAddress: unknownValue });
  const token = await check("AclToken", "t", { datacenter: "dc1" });
  const shown = await create("AclToken", "t", token.inputs, { preview: true });
  assert.match(String(shown.props["accessorId"]), /^[0-9a-f-]{36}$/);
  assert.deepEqual(shown.props["secretId"], secret(unknownValue));
  assert.equal(world.units.size + world.requests.length, 0);
});

test("the life of a datacenter and what is in it: create, diff, update, refresh, delete", async () => {
  const dc1 = await make("Datacenter", "dc1", { primaryDatacenter: "dc1" });
  assert.equal(dc1.id, `${mesh}/dc1`);
  const same = await diff("Datacenter", "dc1", { ...dc1.props, __provider: "closure" }, dc1.inputs);
  assert.deepEqual([same.changes, same.detailed], [false, {}]);
  assert.ok(same.stables.includes("trustDomain"));
  const edited = await diff("Datacenter", "dc1", dc1.props, {
    ...dc1.inputs,
    acl: { enabled: true, defaultPolicy: "allow" },
  });
  assert.deepEqual(edited.detailed, { "acl.defaultPolicy": "UPDATE" });
  assert.deepEqual([edited.diffs, edited.replaces], [["acl"], []]);
  const moved = await diff("Datacenter", "dc1", dc1.props, { ...dc1.inputs, runtime: "docker" });
  assert.deepEqual(
    [moved.detailed, moved.replaces, moved.deleteFirst],
    [{ runtime: "UPDATE_REPLACE" }, ["runtime"], true],
  );
  world.crash(`${mesh}/dc1/control-plane/dc1`, "control-plane");
  assert.deepEqual((await diff("Datacenter", "dc1", dc1.props, dc1.inputs)).detailed, { running: "UPDATE" });

  const update = new providerPb.UpdateRequest();
  update.setUrn(urn("Datacenter", "dc1"));
  update.setId(dc1.id);
  update.setOlds(struct(dc1.props));
  update.setNews(struct(dc1.inputs));
  update.setPreview(true);
  const foreseen = json((await call<providerPb.UpdateResponse>("update", update)).getProperties());
  assert.equal(foreseen["trustDomain"], dc1.props["trustDomain"]);
  update.setPreview(false);
  await call("update", update);
  assert.deepEqual((await diff("Datacenter", "dc1", dc1.props, dc1.inputs)).changes, false);

  const intention = await make("Intention", "i", { datacenter: "dc1", source: "a", destination: "b", action: "allow" });
  world.plane("dc1").intentions.set("a/b", { SourceName: "a", DestinationName: "b", Action: "deny" });
  assert.deepEqual((await diff("Intention", "i", intention.props, intention.inputs)).detailed, { action: "UPDATE" });
  const read = new providerPb.ReadRequest();
  read.setUrn(urn("Intention", "i"));
  read.setId(intention.id);
  read.setProperties(struct(intention.props));
  read.setInputs(struct(intention.inputs));
  const refreshed = await call<providerPb.ReadResponse>("read", read);
  assert.equal(json(refreshed.getProperties())["action"], "deny");
  assert.equal(json(refreshed.getInputs())["action"], "deny");

  read.setProperties(undefined);
  read.setInputs(undefined);
  const imported = await call<providerPb.ReadResponse>("read", read);
  assert.deepEqual(json(imported.getInputs()), { ...intention.inputs, action: "deny" });
  read.setId("a");
  assert.match((await failureOf(call("read", read))).details, /"a" is no ID of a Intention; IDs have the form/);
  read.setId("a/none");
  assert.equal((await call<providerPb.ReadResponse>("read", read)).getId(), "");

  for (const [noun, made] of [
    ["Intention", intention],
    ["Datacenter", dc1],
  ] as const) {
    const request = new providerPb.DeleteRequest();
    request.setUrn(urn(noun, "x"));
    request.setId(made.id);
    request.setProperties(struct(made.props));
    await call("delete", request);
  }
  assert.equal(world.units.size, 0);
});

test("outputs: computed secrets and what was secret among the inputs", async () => {
  await make("Datacenter", "dc1", { primaryDatacenter: "dc1" });
  const token = await make("AclToken", "t", { datacenter: "dc1", description: secret("hidden") });
  assert.partialDeepStrictEqual(token.props["secretId"], secretMark);
  assert.deepEqual(token.props["description"], secret("hidden"));
  assert.equal(typeof token.props["accessorId"], "string");
});

test("a creation that takes longer than its timeout is recorded with its reasons, its secrets still secret", async () => {
  world.plane("dc1").ready = false;
  const { inputs } = await check("Datacenter", "dc1", { primaryDatacenter: "dc1" });
  const start = performance.now();
  const failed = initFailure(await failureOf(create("Datacenter", "dc1", inputs, { timeout: 0.2 })));
  assert.ok(performance.now() - start < 900, "sooner than by default");
  assert.equal(failed?.id, `${mesh}/dc1`);
  assert.match(failed!.reasons[0]!, /datacenter "dc1": not within 200 ms/);
  assert.equal(failed!.props["running"], false);
  assert.equal((await diff("Datacenter", "dc1", failed!.props, inputs)).changes, true, "the next up heals it");
  const gateway = await check("MeshGateway", "g", { datacenter: "none", token: "hidden" });
  const unmade = initFailure(await failureOf(create("MeshGateway", "g", gateway.inputs, { timeout: 0.1 })));
  assert.deepEqual(unmade!.props["token"], secret("hidden"));
});

test("an update that fails is recorded, so that the next one finishes it", async () => {
  const dc1 = await make("Datacenter", "dc1", { primaryDatacenter: "dc1" });
  world.plane("dc1").ready = false;
  const request = new providerPb.UpdateRequest();
  request.setUrn(urn("Datacenter", "dc1"));
  request.setId(dc1.id);
  request.setOlds(struct(dc1.props));
  request.setNews(struct({ ...dc1.inputs, enableCentralServiceConfig: false }));
  request.setTimeout(0.1);
  const failed = initFailure(await failureOf(call("update", request)));
  assert.partialDeepStrictEqual(failed?.props, { enableCentralServiceConfig: false, running: false });
});

test("cancelling ends what waits, which is recorded, and everything after it", async () => {
  world.plane("dc1").ready = false;
  const { inputs } = await check("Datacenter", "dc1", { primaryDatacenter: "dc1" });
  const creation = failureOf(create("Datacenter", "dc1", inputs, { timeout: 60 }));
  while (world.units.size === 0) await new Promise(setImmediate);
  const start = performance.now();
  await call("cancel", new emptyPb.Empty());
  const failed = initFailure(await creation);
  assert.ok(performance.now() - start < 2_000);
  assert.match(failed!.reasons[0]!, /cancelled/);
  assert.match((await failureOf(create("Datacenter", "dc1", inputs))).details, /cancelled/);
});

test("what an operation says goes to the engine, at its resource", async () => {
  world.plane("dc1").ready = false;
  const { inputs } = await check("Datacenter", "dc1", { primaryDatacenter: "dc1" });
  await failureOf(create("Datacenter", "dc1", inputs, { timeout: 0.1 }));
  assert.deepEqual(said, [`${urn("Datacenter", "dc1")} datacenter "dc1" waits for a CA`]);
});
