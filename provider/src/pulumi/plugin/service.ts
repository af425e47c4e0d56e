/** Pulumi's ResourceProvider service over gRPC: messages to plain data, and back. */
import type grpc from "@grpc/grpc-js";
import { unknownValue } from "@isthmus/sdk/spec";
import type { PluginAttach } from "@pulumi/pulumi/proto/plugin_pb.js";
import pluginPb from "@pulumi/pulumi/proto/plugin_pb.js";
import type {
  CheckRequest,
  ConfigureRequest,
  CreateRequest,
  DeleteRequest,
  DiffRequest,
  InvokeRequest,
  ReadRequest,
  UpdateRequest,
} from "@pulumi/pulumi/proto/provider_pb.js";
import providerPb from "@pulumi/pulumi/proto/provider_pb.js";
import emptyPb from "google-protobuf/google/protobuf/empty_pb.js";
import structPb from "google-protobuf/google/protobuf/struct_pb.js";
import { MeshError } from "../../model/errors.ts";
import type { HandlerContext, Props } from "../context.ts";
import { cancellable } from "./cancellable.ts";
import type { Engine } from "./engine.ts";
import { grpcFailure, type StructObject } from "./failure.ts";
import type { Noun } from "./noun.ts";
import { nounOf } from "./nouns.ts";
import * as operations from "./operations.ts";
import { packageSchema } from "./schema.ts";
import { ownerOf, parseUrn } from "./urn.ts";
import { type Decoded, decode, encode, type Path } from "./wire.ts";

/** What the service needs of its process. */
export interface ServiceOptions {
  readonly version: string;
  readonly context: HandlerContext;
  /** Where the engine is, as it said when it started the plugin. */
  readonly engine: Engine;
  /** Connects to another engine that attaches to a running plugin. */
  readonly connectEngine: (address: string) => Engine;
  /** The mesh id that the project has by itself. */
  readonly projectMesh: () => string | undefined;
}

/** The service, and the end of everything that it is waiting for. */
export interface ProviderService {
  readonly handlers: grpc.UntypedServiceImplementation;
  /** Ends all waits: what is under way fails and says what it left behind. */
  cancel(): void;
}

type Struct = structPb.Struct;

const meshPattern = /^[0-9a-f]{8}$/;
const { Kind } = providerPb.PropertyDiff;
const kinds = {
  add: [Kind.ADD, Kind.ADD_REPLACE],
  delete: [Kind.DELETE, Kind.DELETE_REPLACE],
  update: [Kind.UPDATE, Kind.UPDATE_REPLACE],
} as const;

function received(struct: Struct | undefined): Decoded {
  return decode(struct?.toJavaScript() as Props | undefined);
}

function sent(props: Props, secrets: readonly Path[]): Struct {
  return structPb.Struct.fromJavaScript(encode(props, secrets) as StructObject);
}

/** How long an operation may take when the program does not say it, in milliseconds. */
const readMs = 20_000;

/** How much longer than its timeout an operation may take to say what it waited for, in milliseconds. */
const lastWordMs = 250;

/** Makes the service. */
export function createProviderService(options: ServiceOptions): ProviderService {
  const cancelled = new AbortController();
  const cancel = (): void => cancelled.abort(new Error("cancelled"));
  let engine = options.engine;
  let configuredMesh: string | undefined;
  const mesh = (): string | undefined => configuredMesh ?? options.projectMesh();

  /** What an operation at a resource works with. At its timeout, and when all is cancelled, its waits end. */
  const contextFor = (urn: string, timeoutSeconds: number, defaultMs = options.context.deadlineMs): HandlerContext => {
    const deadlineMs = timeoutSeconds > 0 ? timeoutSeconds * 1000 : defaultMs;
    const late = new AbortController();
    setTimeout(() => late.abort(new Error(`not within ${deadlineMs} ms`)), deadlineMs + lastWordMs).unref();
    const signal = AbortSignal.any([cancelled.signal, late.signal]);
    return {
      ...options.context,
      deadlineMs,
      signal,
      openApi: (runtime, meshId, datacenter) =>
        cancellable(options.context.openApi(runtime, meshId, datacenter), datacenter, signal),
      log: (line) => engine.log(urn, line),
    };
  };

  /** One call: its answer or its error. `secrets` of an error's properties are those that the request had. */
  const answer =
    <Request, Response>(
      respond: (request: Request, note: (secrets: readonly Path[]) => void) => Response | Promise<Response>,
    ): grpc.handleUnaryCall<Request, Response> =>
    (call, callback) => {
      let secrets: readonly Path[] = [];
      (async () =>
        await respond(call.request, (paths) => {
          secrets = paths;
        }))().then(
        (response) => callback(null, response),
        (error: unknown) => callback(grpcFailure(error, secrets)),
      );
    };

  const resource = (urn: string): { readonly noun: Noun; readonly parts: ReturnType<typeof parseUrn> } => {
    const parts = parseUrn(urn);
    return { noun: nounOf(parts.type), parts };
  };
  const secretsOf = (noun: Noun, ...decoded: readonly Decoded[]): readonly Path[] => [
    ...noun.secrets,
    ...decoded.flatMap((one) => one.secrets),
  ];
  const setMesh = (value: unknown): void => {
    configuredMesh = typeof value === "string" && meshPattern.test(value) ? value : undefined;
  };

  const handlers: grpc.UntypedServiceImplementation = {
    handshake: answer(() => {
      const response = new providerPb.ProviderHandshakeResponse();
      response.setAcceptSecrets(true);
      return response;
    }),

    attach: answer((request: PluginAttach) => {
      engine = options.connectEngine(request.getAddress());
      return new emptyPb.Empty();
    }),

    getPluginInfo: answer(() => {
      const response = new pluginPb.PluginInfo();
      response.setVersion(options.version);
      return response;
    }),

    getSchema: answer(() => {
      const response = new providerPb.GetSchemaResponse();
      response.setSchema(JSON.stringify(packageSchema(options.version)));
      return response;
    }),

    getMapping: answer(() => new providerPb.GetMappingResponse()),
    getMappings: answer(() => new providerPb.GetMappingsResponse()),

    checkConfig: answer((request: CheckRequest) => {
      const response = new providerPb.CheckResponse();
      const given = received(request.getNews());
      const wanted = given.props["mesh"];
      if (wanted !== undefined && wanted !== unknownValue && !meshPattern.test(String(wanted))) {
        const failure = new providerPb.CheckFailure();
        failure.setProperty("mesh");
        failure.setReason(`${JSON.stringify(wanted)} is no mesh id; use 8 of 0-9 and a-f`);
        response.addFailures(failure);
      }
      response.setInputs(request.getNews());
      return response;
    }),

    /** Another mesh id makes other resources, but each of them says so itself; nothing becomes unmanageable. */
    diffConfig: answer((request: DiffRequest) => {
      const response = new providerPb.DiffResponse();
      const isSame = received(request.getOldInputs()).props["mesh"] === received(request.getNews()).props["mesh"];
      response.setChanges(
        isSame ? providerPb.DiffResponse.DiffChanges.DIFF_NONE : providerPb.DiffResponse.DiffChanges.DIFF_SOME,
      );
      return response;
    }),

    configure: answer((request: ConfigureRequest) => {
      setMesh(received(request.getArgs()).props["mesh"] ?? request.getVariablesMap().get("isthmus:config:mesh"));
      const response = new providerPb.ConfigureResponse();
      response.setAcceptsecrets(true);
      response.setSupportspreview(true);
      return response;
    }),

    invoke: answer((request: InvokeRequest) => {
      throw new MeshError("not_found", `there is no function ${request.getTok()}; this package has resources only`);
    }),

    check: answer(async (request: CheckRequest) => {
      const { noun, parts } = resource(request.getUrn());
      const news = received(request.getNews());
      const { inputs, failures } = await operations.check(
        noun,
        received(request.getOlds()).props,
        news.props,
        { name: parts.name, owner: () => ownerOf(parts, mesh()) },
        contextFor(request.getUrn(), 0),
      );
      const response = new providerPb.CheckResponse();
      response.setInputs(sent(inputs, secretsOf(noun, news)));
      for (const { property, reason } of failures) {
        const failure = new providerPb.CheckFailure();
        failure.setProperty(property);
        failure.setReason(reason);
        response.addFailures(failure);
      }
      return response;
    }),

    diff: answer(async (request: DiffRequest) => {
      const { noun } = resource(request.getUrn());
      const found = await operations.diff(
        noun,
        request.getId(),
        received(request.getOlds()).props,
        received(request.getNews()).props,
        contextFor(request.getUrn(), 0),
      );
      const response = new providerPb.DiffResponse();
      const { DIFF_SOME, DIFF_NONE } = providerPb.DiffResponse.DiffChanges;
      response.setChanges(found.changes.length > 0 ? DIFF_SOME : DIFF_NONE);
      response.setHasdetaileddiff(found.changes.length > 0);
      response.setDiffsList([...new Set(found.changes.map((change) => change.property))]);
      response.setReplacesList([...found.replaces]);
      response.setStablesList([...noun.stables]);
      response.setDeletebeforereplace(found.deleteBeforeReplace);
      for (const change of found.changes) {
        const entry = new providerPb.PropertyDiff();
        entry.setKind(kinds[change.kind][change.replaces ? 1 : 0]);
        entry.setInputdiff(change.inInputs);
        response.getDetaileddiffMap().set(change.path, entry);
      }
      return response;
    }),

    create: answer(async (request: CreateRequest, note) => {
      const { noun } = resource(request.getUrn());
      const given = received(request.getProperties());
      const secrets = secretsOf(noun, given);
      note(secrets);
      const context = contextFor(request.getUrn(), request.getTimeout());
      const { id, props } = await operations.create(noun, given.props, request.getPreview(), context);
      const response = new providerPb.CreateResponse();
      response.setId(id);
      response.setProperties(sent(props, secrets));
      return response;
    }),

    read: answer(async (request: ReadRequest, note) => {
      const { noun, parts } = resource(request.getUrn());
      const inputs = received(request.getInputs());
      const state = received(request.getProperties());
      const secrets = secretsOf(noun, inputs, state);
      note(secrets);
      const found = await operations.read(
        noun,
        request.getId(),
        { inputs: inputs.props, state: state.props },
        () => ownerOf(parts, mesh()),
        contextFor(request.getUrn(), request.getTimeout(), readMs),
      );
      const response = new providerPb.ReadResponse();
      if (!found) return response;
      response.setId(request.getId());
      response.setProperties(sent(found.props, secrets));
      response.setInputs(sent(found.inputs ?? inputs.props, secrets));
      return response;
    }),

    update: answer(async (request: UpdateRequest, note) => {
      const { noun } = resource(request.getUrn());
      const olds = received(request.getOlds());
      const news = received(request.getNews());
      const secrets = secretsOf(noun, news);
      note(secrets);
      const context = contextFor(request.getUrn(), request.getTimeout());
      const props = await operations.update(
        noun,
        request.getId(),
        olds.props,
        news.props,
        request.getPreview(),
        context,
      );
      const response = new providerPb.UpdateResponse();
      response.setProperties(sent(props, secrets));
      return response;
    }),

    delete: answer(async (request: DeleteRequest) => {
      const { noun } = resource(request.getUrn());
      const context = contextFor(request.getUrn(), request.getTimeout());
      await noun.handler.delete(request.getId(), received(request.getProperties()).props, context);
      return new emptyPb.Empty();
    }),

    cancel: answer(() => {
      cancel();
      return new emptyPb.Empty();
    }),
  };
  return { handlers, cancel };
}
