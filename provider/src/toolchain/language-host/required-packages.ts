/** Which Pulumi provider plugins a program's npm packages ask for: `pulumi.resource` in a package.json under node_modules. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A plugin that a package asks for. */
export interface RequiredPackage {
  readonly name: string;
  /** With a leading `v`, or empty. */
  readonly version: string;
  /** Where to download it; empty for the default. */
  readonly server: string;
}

/** The node_modules of `directory` and of each folder above it (hoisted workspaces); sorted by name, first found wins. */
export function findPackages(directory: string): readonly RequiredPackage[] {
  const found = new Map<string, RequiredPackage>();
  for (let folder = directory; ; folder = dirname(folder)) {
    for (const path of packageFolders(join(folder, "node_modules"))) {
      const required = readPackage(join(path, "package.json"));
      if (required !== undefined && !found.has(required.name)) found.set(required.name, required);
    }
    if (folder === dirname(folder)) break;
  }
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name));
}

function packageFolders(modules: string): readonly string[] {
  if (!existsSync(modules)) return [];
  return readdirSync(modules)
    .filter((name) => !name.startsWith("."))
    .flatMap((name) =>
      name.startsWith("@")
        ? readdirSync(join(modules, name)).map((inner) => join(modules, name, inner))
        : [join(modules, name)],
    );
}

function readPackage(path: string): RequiredPackage | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  if (!text.includes('"pulumi"')) return undefined;
  const {
    name = "",
    version = "",
    pulumi,
  } = JSON.parse(text) as {
    name?: string;
    version?: string;
    pulumi?: { resource?: boolean; name?: string; version?: string; server?: string };
  };
  if (pulumi?.resource !== true) return undefined;
  const number = pulumi.version ?? version;
  return {
    name: pulumi.name ?? name.replace(/^@pulumi\//, ""),
    version: number === "" || number.startsWith("v") ? number : `v${number}`,
    server: pulumi.server ?? "",
  };
}
