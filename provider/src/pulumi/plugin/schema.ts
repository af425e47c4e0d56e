/** The package's Pulumi schema, made from the zod schemas of what a user can say. Pure. */
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { Noun } from "./noun.ts";
import { nouns, packageName } from "./nouns.ts";

/** JSON schema as zod writes it, as far as it occurs. */
interface JsonSchema {
  readonly type?: "string" | "integer" | "number" | "boolean" | "array" | "object";
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly (string | number)[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | false;
}

/** A type in Pulumi's schema. */
interface TypeSpec {
  readonly type?: string;
  readonly $ref?: string;
  readonly items?: TypeSpec;
  readonly additionalProperties?: TypeSpec;
}

/** A property in Pulumi's schema. */
export interface PropertySpec extends TypeSpec {
  readonly description?: string;
  readonly default?: string | number | boolean;
  readonly secret?: true;
}

/** A named type in Pulumi's schema: an object or an enumeration. */
export interface NamedType {
  readonly type: string;
  readonly properties?: Readonly<Record<string, PropertySpec>>;
  readonly required?: readonly string[];
  readonly enum?: readonly { readonly value: string | number }[];
}

/** One resource in Pulumi's schema. */
export interface ResourceType {
  readonly description: string;
  readonly inputProperties: Readonly<Record<string, PropertySpec>>;
  readonly requiredInputs: readonly string[];
  readonly properties: Readonly<Record<string, PropertySpec>>;
  readonly required: readonly string[];
  readonly aliases: readonly { readonly type: string }[];
}

/** The schema that `GetSchema` answers with. */
export interface PackageSchema {
  readonly name: string;
  readonly version: string;
  readonly displayName: string;
  readonly description: string;
  readonly keywords: readonly string[];
  readonly license: string;
  readonly config: { readonly variables: Readonly<Record<string, PropertySpec>> };
  readonly provider: { readonly description: string; readonly inputProperties: Readonly<Record<string, PropertySpec>> };
  readonly types: Readonly<Record<string, NamedType>>;
  readonly resources: Readonly<Record<string, ResourceType>>;
}

/** Names of types that several nouns share; every other is called after its noun and property. */
const sharedNames: Readonly<Record<string, string>> = { owner: "Owner", meshGateway: "MeshGatewaySettings" };

const capital = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
const singular = (text: string): string => text.replace(/ies$/, "y").replace(/s$/, "");

/** Named types by token, collected while properties are converted. */
class Types {
  readonly #types = new Map<string, NamedType>();

  /** @throws {Error} when two types of one name differ, which is a mistake in the naming. */
  ref(name: string, type: NamedType): TypeSpec {
    const token = `${packageName}:index:${name}`;
    const former = this.#types.get(token);
    if (former && !isDeepStrictEqual(former, type)) throw new Error(`two types are called ${token}`);
    this.#types.set(token, type);
    return { $ref: `#/types/${token}` };
  }

  all(): Readonly<Record<string, NamedType>> {
    return Object.fromEntries([...this.#types].sort(([a], [b]) => a.localeCompare(b)));
  }
}

/** The type of the alternatives: they have to be of one kind, as a port or -1 is. */
function commonType(alternatives: readonly JsonSchema[], path: string): JsonSchema {
  const kinds = new Set(
    alternatives.map(({ type, const: value }) =>
      type === "number" && Number.isInteger(value) ? "integer" : (type ?? "nothing"),
    ),
  );
  const [kind] = kinds;
  if (kinds.size !== 1 || (kind !== "string" && kind !== "integer")) {
    throw new Error(`${path}: no one type holds ${[...kinds].join(" and ")}`);
  }
  return { type: kind };
}

function typeOf(json: JsonSchema, name: string, types: Types): TypeSpec {
  if (json.anyOf) return typeOf(commonType(json.anyOf, name), name, types);
  if (json.enum) {
    const values = json.enum.map((value) => ({ value }));
    return types.ref(name, { type: "string", enum: values });
  }
  switch (json.type) {
    case "string":
    case "integer":
    case "number":
    case "boolean":
      return { type: json.type };
    case "array":
      return { type: "array", items: typeOf(json.items ?? {}, singular(name), types) };
    case "object":
      if (!json.properties) {
        return { type: "object", additionalProperties: typeOf(json.additionalProperties || {}, `${name}Value`, types) };
      }
      return types.ref(name, {
        type: "object",
        properties: propertiesOf(json, name, [], types),
        required: json.required ?? [],
      });
    case undefined:
      return { $ref: "pulumi.json#/Any" };
    default:
      return json.type satisfies never;
  }
}

/** Properties of an object; those named in `secrets` (of the noun itself) or below one are secret. */
function propertiesOf(
  json: JsonSchema,
  prefix: string,
  secrets: readonly string[],
  types: Types,
): Readonly<Record<string, PropertySpec>> {
  return Object.fromEntries(
    Object.entries(json.properties ?? {}).map(([key, property]) => {
      const name = sharedNames[key] ?? `${prefix}${capital(key)}`;
      const isPrimitive = ["string", "number", "boolean"].includes(typeof property.default);
      return [
        key,
        {
          ...typeOf(property, name, types),
          ...(property.description !== undefined && { description: property.description }),
          ...(isPrimitive && { default: property.default as string | number | boolean }),
          ...((secrets.includes(key) || key === "secretFiles") && { secret: true as const }),
        },
      ];
    }),
  );
}

/** What the plugin fills in where a program does not say it. */
const filledIn = ["name", "owner"];

function resourceOf(noun: Noun, types: Types): ResourceType {
  const said = (schema: z.ZodType): JsonSchema => z.toJSONSchema(schema, { io: "input" }) as JsonSchema;
  const inputs = said(noun.schema);
  const outputs = said(noun.outputs);
  const secrets = noun.secrets.filter((path) => path.length === 1).map(([key]) => key!);
  const inputProperties = propertiesOf(inputs, noun.name, secrets, types);
  const withoutDefaults = Object.fromEntries(
    Object.entries(inputProperties).map(([key, { default: _, ...rest }]) => [key, rest]),
  );
  const filled = z.toJSONSchema(noun.schema, { io: "output" }) as JsonSchema;
  return {
    description: noun.description,
    inputProperties,
    requiredInputs: (inputs.required ?? []).filter((key) => !filledIn.includes(key)),
    properties: { ...propertiesOf(outputs, noun.name, secrets, types), ...withoutDefaults },
    required: [...new Set([...(filled.required ?? []), ...(outputs.required ?? [])])].sort(),
    aliases: [{ type: `pulumi-nodejs:dynamic/${packageName}:${noun.name}` }],
  };
}

/** Configuration of the provider. */
const variables = {
  mesh: {
    type: "string",
    description:
      "The eight lower-case hexadecimal characters that tell one mesh from another on the same machine. By default the id in `.isthmus/mesh` beside Pulumi.yaml.",
  },
};

/** The schema of this version of the package. */
export function packageSchema(version: string): PackageSchema {
  const types = new Types();
  const resources = Object.fromEntries([...nouns].map(([type, noun]) => [type, resourceOf(noun, types)]));
  return {
    name: packageName,
    version,
    displayName: "Isthmus",
    description: "Service meshes across datacenters as one typed program.",
    keywords: ["pulumi", "service-mesh", "envoy", "consul", "category/network"],
    license: "Apache-2.0",
    config: { variables },
    provider: { description: "How Isthmus is reached.", inputProperties: variables },
    types: types.all(),
    resources,
  };
}
