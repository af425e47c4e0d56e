/** Digests of records, equal in every datacenter for equal records. Pure. */
import { createHash } from "node:crypto";

/** 128 bits of SHA-256 over the value with its keys sorted, base64url; and the JSON's length in characters. */
export function digestOf(value: unknown): { readonly digest: string; readonly size: number } {
  const text = JSON.stringify(value, sortKeys);
  return { digest: createHash("sha256").update(text).digest("base64url").slice(0, 22), size: text.length };
}

function sortKeys(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
