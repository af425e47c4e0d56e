/** How a Pulumi program is started: arguments and environment of the SDK's own `cmd/run`. Pure. */

/** One run of a program, as the engine asked for it. */
export interface ProgramRun {
  readonly directory: string;
  /** Where Pulumi.yaml lies. */
  readonly rootDirectory: string;
  /** A path below the directory, or `.` for what its package.json names. */
  readonly entryPoint: string;
  readonly options: ProgramOptions;
  /** host:port of the resource monitor. */
  readonly monitor: string;
  readonly engine: string;
  readonly organization: string;
  readonly project: string;
  readonly stack: string;
  readonly dryRun: boolean;
  readonly parallel: number;
  readonly config: Readonly<Record<string, string>>;
  readonly secretKeys: readonly string[];
  readonly args: readonly string[];
}

/** `runtime.options` of Pulumi.yaml. */
export interface ProgramOptions {
  readonly typescript: boolean;
  /** Arguments for Node, as one would write them in a shell. */
  readonly nodeArgs?: string;
  readonly tsconfig?: string;
}

/** Arguments of `cmd/run`. Its parser stops at the entry point, so every flag comes before it; empty values are left out. */
export function programArguments(run: ProgramRun): readonly string[] {
  const flags: readonly (readonly [string, string])[] = [
    ["--monitor", run.monitor],
    ["--engine", run.engine],
    ["--organization", run.organization],
    ["--project", run.project],
    ["--root-directory", run.rootDirectory],
    ["--stack", run.stack],
    ["--pwd", run.directory],
    ["--parallel", String(run.parallel)],
  ];
  return [
    ...flags.filter(([, value]) => value !== "").flat(),
    ...(run.dryRun ? ["--dry-run"] : []),
    run.entryPoint,
    ...run.args,
  ];
}

/** The program's environment: `base`, its configuration and how TypeScript is loaded. */
export function programEnvironment(run: ProgramRun, base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const config = Object.fromEntries(Object.entries(run.config).map(([key, value]) => [configKey(key), value]));
  return {
    ...base,
    PULUMI_CONFIG: JSON.stringify(config),
    PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(run.secretKeys),
    PULUMI_NODEJS_TYPESCRIPT: String(run.options.typescript),
    ...(run.options.tsconfig === undefined ? {} : { PULUMI_NODEJS_TSCONFIG_PATH: run.options.tsconfig }),
  };
}

/** Splits `nodeargs` at blanks; single and double quotes keep blanks together. */
export function nodeArguments(options: ProgramOptions): readonly string[] {
  const words = options.nodeArgs?.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? [];
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_all, double, single) => double ?? single));
}

/** `mesh:size` is `mesh:config:size` for the SDK. */
function configKey(key: string): string {
  const colon = key.indexOf(":");
  return colon < 0 ? key : `${key.slice(0, colon)}:config:${key.slice(colon + 1)}`;
}
