/** Checks inputs against a noun's schema: failures by property, and the inputs with their defaults. Pure. */
import type { z } from "zod";

/** The text that stands for a value not known at preview, whatever its declared type (Pulumi's unknown string). */
export const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** One thing wrong with one property. The reason begins with the property's path. */
export interface SpecFailure {
  /** The top-level property. */
  readonly property: string;
  readonly reason: string;
}

/** What {@link checkSpec} found. `inputs` is complete (defaults included) when there are no failures and no unknowns. */
export interface SpecResult {
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly failures: readonly SpecFailure[];
  readonly hasUnknowns: boolean;
}

type Issue = z.core.$ZodIssue;

/** True when the value is, or has somewhere in it, a value that is not known yet. */
export function containsUnknown(value: unknown): boolean {
  if (value === unknownValue) return true;
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some(containsUnknown);
}

function valueAt(
  root: unknown,
  path: readonly PropertyKey[],
): { readonly value: unknown; readonly passedUnknown: boolean } {
  let value = root;
  for (const key of path) {
    if (value === unknownValue) return { value, passedUnknown: true };
    value = typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  }
  return { value, passedUnknown: value === unknownValue };
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    "",
  );
}

function wording(issue: Issue, input: unknown): string {
  if (
    input === undefined &&
    (issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union")
  ) {
    return `is missing; give ${issue.code === "invalid_type" ? `a value of type ${issue.expected}` : "it"}`;
  }
  if (issue.code === "invalid_type") return issue.message.replace(/^Invalid input: /, "");
  return issue.message;
}

/** Sorted failures of one issue: an issue of unknown keys is one failure a key. */
function failures(issue: Issue, root: unknown): readonly SpecFailure[] {
  const { value, passedUnknown } = valueAt(root, issue.path);
  // A value that is not known yet may still turn out right; a rule over several properties may depend on it.
  if (passedUnknown || ((issue.code === "custom" || issue.code === "invalid_union") && containsUnknown(value)))
    return [];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      property: String(issue.path[0] ?? key),
      reason: `${formatPath([...issue.path, key])}: ${issue.message}`,
    }));
  }
  if (issue.code === "invalid_key") {
    const said = issue.issues.map((inner) => inner.message).join("; ");
    return [{ property: String(issue.path[0] ?? ""), reason: `${formatPath(issue.path)}: ${said}` }];
  }
  return [{ property: String(issue.path[0] ?? ""), reason: `${formatPath(issue.path)}: ${wording(issue, value)}` }];
}

/**
 * Checks `news` (the engine's `__provider` entry aside). Values not known yet are tolerated anywhere; everything else
 * is still checked.
 */
export function checkSpec(schema: z.ZodObject, news: Readonly<Record<string, unknown>>): SpecResult {
  const { __provider: _, ...given } = news;
  const hasUnknowns = containsUnknown(given);
  const parsed = schema.safeParse(given);
  if (parsed.success) return { inputs: parsed.data, failures: [], hasUnknowns };
  const found = parsed.error.issues.flatMap((issue) => failures(issue, given));
  if (found.length > 0 || !hasUnknowns) return { inputs: given, failures: found, hasUnknowns };
  const inputs: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(schema.shape)) {
    const value = (field as z.ZodType).safeParse(given[key]);
    const kept = value.success ? value.data : given[key];
    if (kept !== undefined) inputs[key] = kept;
  }
  return { inputs, failures: [], hasUnknowns };
}
