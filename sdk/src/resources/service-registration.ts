/** The ServiceRegistration resource: a service, its sidecar and, if wanted, the program behind it. */
import type * as pulumi from "@pulumi/pulumi";
import type { DeclaredUpstream } from "../check-program.ts";
import type { MeshGatewayMode } from "../spec/words.ts";
import { MeshResource } from "./mesh-resource.ts";
import { type DatacenterRef, datacenterNameOf, declaration, dependOn, plain, secret } from "./reference.ts";

/** A service: the resource itself or its name. */
export type ServiceRef = string | ServiceRegistration<string, string>;

/** A local port of the service behind which another service answers. */
export interface UpstreamArgs<Known extends string = string> {
  /** The service to reach. Given as a resource, its datacenter is the default of `datacenter`. */
  readonly destinationName: ServiceRef;
  /** Only "service". */
  readonly destinationType?: "service";
  /** Only "default". */
  readonly destinationNamespace?: "default";
  /** Where the service is. @default the destination's datacenter if it is a resource, else the own one */
  readonly datacenter?: DatacenterRef<Known>;
  /** Port at which the service's program dials it. */
  readonly localBindPort: pulumi.Input<number>;
  /** @default the address that only this service can dial (127.0.0.1 in a container) */
  readonly localBindAddress?: pulumi.Input<string>;
  /** Way to another datacenter. It goes before every other place where a mode can be set. */
  readonly meshGateway?: { readonly mode: MeshGatewayMode };
  /** Options for the upstream's Envoy configuration, as Consul takes them. */
  readonly config?: pulumi.Input<Readonly<Record<string, unknown>>>;
}

/** How the health of a service is found out: exactly one of `tcp`, `http` and `ttl`. */
export interface CheckArgs {
  readonly name?: pulumi.Input<string>;
  /** `host:port`; `localhost` is the service's own address. */
  readonly tcp?: pulumi.Input<string>;
  /** `http://host:port/path`; `localhost` is the service's own address. */
  readonly http?: pulumi.Input<string>;
  /** @default "GET" */
  readonly method?: pulumi.Input<string>;
  /** The service reports itself; after this long without a report it is critical. */
  readonly ttl?: pulumi.Input<string>;
  /** How often, as a Go duration (`10s`). */
  readonly interval?: pulumi.Input<string>;
  readonly timeout?: pulumi.Input<string>;
}

/** What every kind of `run` takes. */
interface RunSettings {
  readonly args?: pulumi.Input<readonly pulumi.Input<string>[]>;
  /**
   * Environment; it is public, so put secrets into `secretFiles`. Added to it: `ISTHMUS_SERVICE_ADDRESS` and
   * `ISTHMUS_SERVICE_PORT`, where to listen, `ISTHMUS_DIRECTORY`, where the files are, and `ISTHMUS_UPSTREAM_<NAME>`,
   * `host:port` of each upstream.
   */
  readonly env?: pulumi.Input<Readonly<Record<string, pulumi.Input<string>>>>;
  /** Text files by relative path. An argument that equals such a path is replaced by where the file is. */
  readonly files?: pulumi.Input<Readonly<Record<string, pulumi.Input<string>>>>;
  /** Like `files`, and secret in the stack's state. */
  readonly secretFiles?: pulumi.Input<Readonly<Record<string, pulumi.Input<string>>>>;
}

/** The program behind a service: a command (`node` is always there) or an image. */
export type RunArgs =
  | (RunSettings & { readonly command: pulumi.Input<string>; readonly image?: undefined })
  | (RunSettings & { readonly image: pulumi.Input<string>; readonly command?: undefined });

/** A sidecar: the proxy through which a service is reached and reaches others. */
export interface SidecarArgs<Known extends string = string> {
  /** Port at which other proxies reach it. @default 20000 */
  readonly port?: pulumi.Input<number>;
  readonly proxy?: {
    readonly upstreams?: readonly UpstreamArgs<Known>[];
    /** Way to other datacenters for all upstreams that do not say otherwise. */
    readonly meshGateway?: { readonly mode: MeshGatewayMode };
    /** Options for Envoy, as Consul takes them. */
    readonly config?: pulumi.Input<Readonly<Record<string, unknown>>>;
  };
}

/** Inputs of a {@link ServiceRegistration}. `Known` are the datacenters that its upstreams may name. */
export interface ServiceRegistrationArgs<Own extends string = string, Known extends string = string> {
  /** Where it runs. */
  readonly datacenter: DatacenterRef<Own>;
  /** Name in the catalog. @default the logical name */
  readonly name?: string;
  /** Port on which the service's program listens. */
  readonly port: pulumi.Input<number>;
  readonly tags?: pulumi.Input<readonly pulumi.Input<string>[]>;
  readonly meta?: pulumi.Input<Readonly<Record<string, pulumi.Input<string>>>>;
  readonly checks?: readonly CheckArgs[];
  /** The program to run; absent for a service that something else runs. */
  readonly run?: RunArgs;
  /** The sidecar; absent for a service outside the mesh. */
  readonly connect?: { readonly sidecarService?: SidecarArgs<Known> };
  /** Token it registers with. @default one of its own with just the rights it needs */
  readonly token?: pulumi.Input<string>;
  /**
   * Accept that the program listens on more than its own loopback address, so that it can be dialled past its sidecar and
   * its intentions.
   * @default false
   */
  readonly allowDirect?: pulumi.Input<boolean>;
}

/** Runs in Pulumi's provider process. Each method finds the handlers there by name, so nothing of this file is captured. */
const provider: pulumi.dynamic.ResourceProvider = {
  async check(olds, news) {
    return require("@isthmus/provider/dynamic").serviceRegistration.check(olds, news);
  },
  async diff(id, olds, news) {
    return require("@isthmus/provider/dynamic").serviceRegistration.diff(id, olds, news);
  },
  async create(inputs) {
    return require("@isthmus/provider/dynamic").serviceRegistration.create(inputs);
  },
  async read(id, props) {
    return require("@isthmus/provider/dynamic").serviceRegistration.read(id, props);
  },
  async update(id, olds, news) {
    return require("@isthmus/provider/dynamic").serviceRegistration.update(id, olds, news);
  },
  async delete(id, props) {
    return require("@isthmus/provider/dynamic").serviceRegistration.delete(id, props);
  },
};

function upstreamInputs<Known extends string>(upstream: UpstreamArgs<Known>) {
  const { destinationName, datacenter, ...rest } = upstream;
  const resource = typeof destinationName === "string" ? undefined : destinationName;
  return {
    ...rest,
    destinationName: resource ? resource.serviceName : (destinationName as string),
    datacenter: datacenter === undefined ? resource?.datacenterName : datacenterNameOf<string>(datacenter),
  };
}

function declaredUpstream(upstream: ReturnType<typeof upstreamInputs>): DeclaredUpstream {
  const bindAddress = plain(upstream.localBindAddress);
  const bindPort = plain(upstream.localBindPort);
  return {
    service: upstream.destinationName,
    ...(upstream.datacenter !== undefined && { datacenter: upstream.datacenter }),
    ...(bindAddress !== undefined && { bindAddress }),
    ...(bindPort !== undefined && { bindPort }),
    ...(upstream.meshGateway && { mode: upstream.meshGateway.mode }),
  };
}

/**
 * A service of a datacenter with, usually, a sidecar. Service, sidecar and the local ports of its upstreams share one
 * network namespace. Creation waits until the sidecar is ready and the program listens.
 *
 * @example
 * ```ts
 * const web = new mesh.ServiceRegistration("web", {
 *   datacenter: dc2,
 *   port: 8080,
 *   connect: { sidecarService: { proxy: { upstreams: [{ destinationName: "socat", datacenter: dc1, localBindPort: 8181 }] } } },
 * });
 * ```
 */
export class ServiceRegistration<Own extends string = string, Known extends string = string> extends MeshResource {
  /** The type in stacks and policy packs. */
  static override readonly __pulumiType: string = "pulumi-nodejs:dynamic/isthmus:ServiceRegistration";

  /** True for a ServiceRegistration of any copy of this package. */
  static override isInstance(value: unknown): value is ServiceRegistration {
    return (
      (value as { readonly __pulumiType?: unknown } | undefined)?.__pulumiType === ServiceRegistration.__pulumiType
    );
  }

  /** Its name in the catalog, known when the program runs. */
  readonly serviceName: string;
  /** Its datacenter's name, known when the program runs. */
  readonly datacenterName: Own;
  declare readonly name: pulumi.Output<string>;
  declare readonly datacenter: pulumi.Output<string>;
  declare readonly port: pulumi.Output<number>;
  /** Address in its datacenter, at which its sidecar is reached; absent for a service that something else runs. */
  declare readonly lanAddress: pulumi.Output<string | undefined>;
  /** Id of its sidecar in the catalog; absent without one. */
  declare readonly proxyId: pulumi.Output<string | undefined>;

  constructor(logicalName: string, args: ServiceRegistrationArgs<Own, Known>, opts?: pulumi.CustomResourceOptions) {
    const name = args.name ?? logicalName;
    const datacenter = datacenterNameOf(args.datacenter);
    const sidecar = args.connect?.sidecarService;
    const upstreams = (sidecar?.proxy?.upstreams ?? []).map(upstreamInputs);
    const port = plain(args.port);
    const { owner, become } = declaration(logicalName, {
      kind: "service",
      resource: logicalName,
      name,
      datacenter,
      ...(port !== undefined && { port }),
      sidecar: sidecar !== undefined,
      ...(sidecar?.proxy?.meshGateway && { mode: sidecar.proxy.meshGateway.mode }),
      upstreams: upstreams.map(declaredUpstream),
    });
    const connect = sidecar?.proxy?.upstreams
      ? { ...args.connect, sidecarService: { ...sidecar, proxy: { ...sidecar.proxy, upstreams } } }
      : args.connect;
    super(
      provider,
      logicalName,
      {
        ...args,
        name,
        datacenter,
        connect,
        run: args.run && { ...args.run, secretFiles: secret(args.run.secretFiles) },
        token: secret(args.token),
        owner,
        lanAddress: undefined,
        proxyId: undefined,
      },
      dependOn(opts, args.datacenter),
      "isthmus",
      "ServiceRegistration",
    );
    this.serviceName = name;
    this.datacenterName = datacenter;
    become(this);
  }
}
