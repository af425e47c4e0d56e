/** Which backend, passphrase and home Pulumi gets: the user's where they are set, else files of the project's own. Pure. */
import { delimiter, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

export interface EnvironmentInput {
  readonly base: NodeJS.ProcessEnv;
  /** `<project>/.isthmus`. */
  readonly directory: string;
  /** Our passphrase file. */
  readonly passphraseFile: string;
  readonly pulumi: { readonly binary: string; readonly source: "path" | "official" | "built" };
  readonly node: string;
}

/** True when the user has not chosen a backend: then state lies in `.isthmus/backend`. */
export function usesOwnBackend(base: NodeJS.ProcessEnv): boolean {
  return !base["PULUMI_BACKEND_URL"] && !base["PULUMI_ACCESS_TOKEN"];
}

/** Where our own backend and Pulumi's home lie. */
export function ownBackend(directory: string): { readonly backend: string; readonly home: string } {
  return { backend: join(directory, "backend"), home: join(directory, "pulumi-home") };
}

/** The environment of every `pulumi` that a command starts. What the user has set stays as it is. */
export function pulumiEnvironment(input: EnvironmentInput): NodeJS.ProcessEnv {
  const { base, directory, passphraseFile, pulumi, node } = input;
  const own = ownBackend(directory);
  const defaults: NodeJS.ProcessEnv = { PULUMI_SKIP_UPDATE_CHECK: "true" };
  if (usesOwnBackend(base)) {
    defaults["PULUMI_BACKEND_URL"] = pathToFileURL(own.backend).href;
    defaults["PULUMI_HOME"] = own.home;
  }
  if (base["PULUMI_CONFIG_PASSPHRASE"] === undefined && !base["PULUMI_CONFIG_PASSPHRASE_FILE"]) {
    defaults["PULUMI_CONFIG_PASSPHRASE_FILE"] = passphraseFile;
  }
  if (pulumi.source === "built") defaults["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true";
  const set = Object.fromEntries(Object.entries(base).filter(([, value]) => value !== ""));
  return {
    ...defaults,
    ...set,
    ...emptyPassphrase(base),
    PATH: searchPath(base["PATH"], dirname(pulumi.binary), dirname(node)),
  };
}

/** An empty passphrase is a choice; other empty variables count as not set. */
function emptyPassphrase(base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return base["PULUMI_CONFIG_PASSPHRASE"] === "" ? { PULUMI_CONFIG_PASSPHRASE: "" } : {};
}

function searchPath(path: string | undefined, ...first: readonly string[]): string {
  return [...new Set([...first, ...(path ?? "").split(delimiter)])].filter((folder) => folder !== "").join(delimiter);
}
