/** Rules over a whole program, which no single resource can see. Pure: declarations in, problems out. */
import type { MeshGatewayMode } from "./spec/words.ts";

/** An upstream as far as it is known when the program runs. */
export interface DeclaredUpstream {
  readonly service: string;
  /** Absent: the declaring service's own datacenter. */
  readonly datacenter?: string;
  readonly bindAddress?: string;
  readonly bindPort?: number;
  readonly mode?: MeshGatewayMode;
}

interface DeclaredBase {
  /** Logical name of the resource. */
  readonly resource: string;
}

export interface DeclaredDatacenter extends DeclaredBase {
  readonly kind: "datacenter";
  readonly name: string;
  readonly primaryDatacenter: string;
  readonly connect: boolean;
  readonly centralConfig: boolean;
  readonly network: "isolated" | "routed";
}

export interface DeclaredService extends DeclaredBase {
  readonly kind: "service";
  readonly name: string;
  readonly datacenter: string;
  readonly port?: number;
  readonly sidecar: boolean;
  readonly mode?: MeshGatewayMode;
  readonly upstreams: readonly DeclaredUpstream[];
}

export interface DeclaredServiceDefaults extends DeclaredBase {
  readonly kind: "service-defaults";
  readonly name: string;
  readonly datacenter: string;
  readonly mode?: MeshGatewayMode;
  readonly upstreamMode?: MeshGatewayMode;
  readonly overrides: readonly { readonly service: string; readonly mode?: MeshGatewayMode }[];
}

/** What a constructor tells the program's check. */
export type Declared =
  | DeclaredDatacenter
  | DeclaredService
  | DeclaredServiceDefaults
  | (DeclaredBase & { readonly kind: "mesh-gateway"; readonly name: string; readonly datacenter: string })
  | (DeclaredBase & { readonly kind: "proxy-defaults"; readonly datacenter: string; readonly mode?: MeshGatewayMode })
  | (DeclaredBase & {
      readonly kind: "intention";
      readonly datacenter: string;
      readonly source: string;
      readonly destination: string;
    })
  | (DeclaredBase & { readonly kind: "acl-policy"; readonly name: string; readonly datacenter: string })
  | (DeclaredBase & { readonly kind: "acl-token"; readonly datacenter: string });

/** Something that is wrong with the program, or deserves a look. */
export interface Problem {
  readonly severity: "error" | "warning";
  /** True when no further declaration can make it right. */
  readonly final: boolean;
  /** Logical name of the resource it is about. */
  readonly resource: string;
  readonly message: string;
}

type Of<K extends Declared["kind"]> = Extract<Declared, { readonly kind: K }>;

/** The declarations by kind and the look-ups that several rules need. */
interface View {
  readonly all: readonly Declared[];
  readonly datacenters: readonly Of<"datacenter">[];
  readonly gateways: readonly Of<"mesh-gateway">[];
  readonly services: readonly DeclaredService[];
  readonly proxyDefaults: Of<"proxy-defaults"> | undefined;
  readonly serviceDefaults: readonly DeclaredServiceDefaults[];
  readonly datacenter: (name: string) => DeclaredDatacenter | undefined;
}

type Rule = (view: View) => readonly Problem[];

const error = (on: DeclaredBase, message: string, final = false): Problem => ({
  severity: "error",
  final,
  resource: on.resource,
  message: `${on.resource}: ${message}`,
});
const warning = (on: DeclaredBase, message: string): Problem => ({
  severity: "warning",
  final: false,
  resource: on.resource,
  message: `${on.resource}: ${message}`,
});
const list = (names: readonly string[]): string =>
  names.length === 0 ? "none" : names.map((name) => `"${name}"`).join(", ");

function identity(declared: Declared): string | undefined {
  switch (declared.kind) {
    case "datacenter":
      return `datacenter "${declared.name}"`;
    case "mesh-gateway":
      return `mesh gateway "${declared.name}" in datacenter "${declared.datacenter}"`;
    case "service":
      return `service "${declared.name}" in datacenter "${declared.datacenter}"`;
    case "proxy-defaults":
      return "proxy defaults (there is one entry for the whole federation)";
    case "service-defaults":
      return `service defaults of "${declared.name}"`;
    case "intention":
      return `intention "${declared.source}" to "${declared.destination}"`;
    case "acl-policy":
      return `ACL policy "${declared.name}"`;
    case "acl-token":
      return undefined;
    default:
      return declared satisfies never;
  }
}

const duplicates: Rule = ({ all }) => {
  const first = new Map<string, string>();
  return all.flatMap((declared) => {
    const what = identity(declared);
    if (what === undefined) return [];
    const earlier = first.get(what);
    if (earlier === undefined) {
      first.set(what, declared.resource);
      return [];
    }
    return [
      error(declared, `${what} is declared by "${earlier}" already; give one of them another name or remove it`, true),
    ];
  });
};

/** A gateway and a service of one name would be two services of the catalog with one id. */
const gatewayNames: Rule = ({ gateways, services }) =>
  gateways.flatMap((gateway) => {
    const same = services.find((service) => service.name === gateway.name && service.datacenter === gateway.datacenter);
    return same
      ? [error(gateway, `"${gateway.name}" is the name of a service there too ("${same.resource}"); rename one`, true)]
      : [];
  });

const primaries: Rule = ({ datacenters, datacenter }) => {
  const primary = datacenters.filter((one) => one.primaryDatacenter === one.name);
  const problems = primary
    .slice(1)
    .map((second) =>
      error(
        second,
        `"${second.name}" is a second primary beside "${primary[0]!.name}"; one federation has one: pass primary: <the first datacenter>`,
        true,
      ),
    );
  if (datacenters.length > 0 && primary.length === 0 && datacenters.every((one) => datacenter(one.primaryDatacenter))) {
    problems.push(error(datacenters[0]!, "no datacenter is primary; give one of them primary: true"));
  }
  for (const one of datacenters) {
    const target = datacenter(one.primaryDatacenter);
    if (!target) {
      problems.push(
        error(
          one,
          `primary datacenter "${one.primaryDatacenter}" is unknown; declared are ${list(datacenters.map((dc) => dc.name))}`,
        ),
      );
    } else if (target !== one && target.primaryDatacenter !== target.name) {
      problems.push(
        error(one, `"${target.name}" is not a primary itself; pass the datacenter that has primary: true`, true),
      );
    }
  }
  return problems;
};

const unknownDatacenters: Rule = ({ all, datacenters, datacenter }) => {
  const known = `declared are ${list(datacenters.map((one) => one.name))}`;
  return all.flatMap((declared) => {
    if (declared.kind === "datacenter") return [];
    const problems: Problem[] = [];
    if (!datacenter(declared.datacenter))
      problems.push(error(declared, `datacenter "${declared.datacenter}" is unknown; ${known}`));
    if (declared.kind === "service") {
      declared.upstreams.forEach((upstream, index) => {
        if (upstream.datacenter !== undefined && !datacenter(upstream.datacenter)) {
          problems.push(
            error(declared, `upstreams[${index}].datacenter: "${upstream.datacenter}" is unknown; ${known}`),
          );
        }
      });
    }
    return problems;
  });
};

/** The mode of an upstream: Consul's six levels, strongest first, then the destination's own service defaults. */
function resolveMode(view: View, service: DeclaredService, upstream: DeclaredUpstream): MeshGatewayMode {
  const central = view.datacenter(service.datacenter)?.centralConfig ?? true;
  const defaultsOf = (name: string) => (central ? view.serviceDefaults.find((one) => one.name === name) : undefined);
  const own = defaultsOf(service.name);
  return (
    upstream.mode ??
    own?.overrides.find((one) => one.service === upstream.service)?.mode ??
    service.mode ??
    own?.upstreamMode ??
    own?.mode ??
    (central ? view.proxyDefaults?.mode : undefined) ??
    defaultsOf(upstream.service)?.mode ??
    "none"
  );
}

const modes: Rule = (view) =>
  view.services.flatMap((service) =>
    service.upstreams.flatMap((upstream, index): readonly Problem[] => {
      const own = view.datacenter(service.datacenter);
      const target = view.datacenter(upstream.datacenter ?? service.datacenter);
      if (!own || !target || own === target) return [];
      const hasGateway = (name: string): boolean => view.gateways.some((gateway) => gateway.datacenter === name);
      const say = (message: string): Problem =>
        error(service, `upstreams[${index}] ("${upstream.service}" in "${target.name}"): ${message}`);
      const mode = resolveMode(view, service, upstream);
      switch (mode) {
        case "local":
        case "remote": {
          const needed = mode === "local" ? [own.name, target.name] : [target.name];
          return needed
            .filter((name) => !hasGateway(name))
            .map((name) =>
              say(
                `mode "${mode}" needs a mesh gateway in datacenter "${name}", which has none; declare a MeshGateway there`,
              ),
            );
        }
        case "none": {
          const isolated = [own, target].filter((one) => one.network !== "routed").map((one) => one.name);
          if (isolated.length === 0) return [];
          return [
            say(
              `mode "none" dials the other datacenter directly, but the network of ${list(isolated)} is isolated; use meshGateway mode "local" or "remote", or network: "routed"`,
            ),
          ];
        }
        default:
          return mode satisfies never;
      }
    }),
  );

const upstreamPorts: Rule = ({ services }) =>
  services.flatMap((service) =>
    service.upstreams.flatMap((upstream, index) => {
      const problems: Problem[] = [];
      if (upstream.bindPort === undefined) return problems;
      const at = `upstreams[${index}].localBindPort: ${upstream.bindPort}`;
      const earlier = service.upstreams.findIndex(
        (other) => other.bindPort === upstream.bindPort && other.bindAddress === upstream.bindAddress,
      );
      if (earlier !== index)
        problems.push(error(service, `${at} is taken by upstreams[${earlier}] already; choose a free port`, true));
      if (upstream.bindPort === service.port) {
        problems.push(
          error(
            service,
            `${at} is the service's own port, and both listen in one network namespace; choose a free port`,
            true,
          ),
        );
      }
      return problems;
    }),
  );

const unknownServices: Rule = ({ services, datacenter }) =>
  services.flatMap((service) =>
    service.upstreams.flatMap((upstream, index) => {
      const where = upstream.datacenter ?? service.datacenter;
      if (!datacenter(where) || services.some((one) => one.name === upstream.service && one.datacenter === where))
        return [];
      return [
        warning(service, `upstreams[${index}]: no service "${upstream.service}" is declared in datacenter "${where}"`),
      ];
    }),
  );

const intentions: Rule = ({ all }) =>
  all.flatMap((declared) =>
    declared.kind === "intention" && declared.source === declared.destination && declared.source !== "*"
      ? [error(declared, `"${declared.source}" is source and destination; an intention is between two services`, true)]
      : [],
  );

const connectOff: Rule = ({ services, gateways, datacenter }) => {
  const message = (name: string): string =>
    `connect is disabled in datacenter "${name}", so no proxy can run there; set connect.enabled to true`;
  return [...services.filter((service) => service.sidecar), ...gateways].flatMap((one) =>
    datacenter(one.datacenter)?.connect === false ? [error(one, message(one.datacenter))] : [],
  );
};

const centralConfigOff: Rule = ({ all, datacenters }) =>
  all.flatMap((declared) => {
    if (declared.kind !== "proxy-defaults" && declared.kind !== "service-defaults") return [];
    return datacenters
      .filter((one) => !one.centralConfig)
      .map((one) => {
        const message = `enableCentralServiceConfig is false in datacenter "${one.name}", so proxies there ignore it; set it to true`;
        return one.name === declared.datacenter ? error(declared, message) : warning(declared, message);
      });
  });

const rules: readonly Rule[] = [
  duplicates,
  gatewayNames,
  primaries,
  unknownDatacenters,
  modes,
  upstreamPorts,
  unknownServices,
  intentions,
  connectOff,
  centralConfigOff,
];

/** Every problem of the program, in the order of the rules and, within a rule, of the declarations. */
export function checkProgram(declared: readonly Declared[]): readonly Problem[] {
  const of = <K extends Declared["kind"]>(kind: K): readonly Of<K>[] =>
    declared.filter((one): one is Of<K> => one.kind === kind);
  const datacenters = of("datacenter");
  const view: View = {
    all: declared,
    datacenters,
    gateways: of("mesh-gateway"),
    services: of("service"),
    proxyDefaults: of("proxy-defaults")[0],
    serviceDefaults: of("service-defaults"),
    datacenter: (name) => datacenters.find((one) => one.name === name),
  };
  return rules.flatMap((rule) => rule(view));
}
