/** Request bodies: read within limits, parsed as JSON, checked by a schema, with messages that name the property. */
import type { IncomingMessage } from "node:http";
import type { z } from "zod";
import { isMeshError, MeshError } from "../../model/errors.ts";

/** Largest body, in bytes. */
export const maxBodyBytes = 512 * 1024;
/** Deepest nesting of objects and lists. */
export const maxDepth = 32;

/** Keeps what all requests together hold in memory below a limit. */
export interface BodyBudget {
  take(bytes: number): boolean;
  give(bytes: number): void;
}

/** @param maxBytes what all bodies in flight may hold together. @default 64 MiB */
export function createBodyBudget(maxBytes = 64 * 1024 * 1024): BodyBudget {
  let used = 0;
  return {
    take: (bytes) => {
      if (used + bytes > maxBytes) return false;
      used += bytes;
      return true;
    },
    give: (bytes) => {
      used -= bytes;
    },
  };
}

/**
 * Reads a body. What it took of the budget goes back when `released` settles.
 * @throws {MeshError} `invalid` when it is larger than {@link maxBodyBytes} or encoded, `unavailable` without budget.
 */
export async function readBody(
  request: IncomingMessage,
  budget: BodyBudget,
  released: Promise<unknown>,
): Promise<Uint8Array> {
  const tooLarge = (): MeshError =>
    new MeshError("invalid", `Request body is larger than ${maxBodyBytes} bytes; split the request`);
  const encoding = request.headers["content-encoding"];
  if (encoding && encoding !== "identity") {
    throw new MeshError(
      "invalid",
      `Content-Encoding ${JSON.stringify(encoding)} is not supported; send the body as it is`,
    );
  }
  if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  let taken = 0;
  const giveBack = (): void => budget.give(taken);
  released.then(giveBack, giveBack);
  try {
    // An early end must leave the socket open, so that the reason can be answered on it.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > maxBodyBytes) throw tooLarge();
      if (!budget.take(chunk.length)) {
        throw new MeshError("unavailable", "too many requests with bodies at once; try again");
      }
      taken += chunk.length;
      chunks.push(chunk);
    }
  } catch (error) {
    if (isMeshError(error)) throw error;
    throw new MeshError("invalid", "the request ended before its body did", { cause: error });
  }
  return Buffer.concat(chunks, length);
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** JSON of a body; undefined for an empty one. @throws {MeshError} `invalid` for what is no JSON, too deep, or names `__proto__`. */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined;
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new MeshError("invalid", "Request decode failed: the body is not UTF-8");
  }
  if (text.trim() === "") return undefined;
  if (depthOf(text) > maxDepth)
    throw new MeshError("invalid", `Request decode failed: the body is nested deeper than ${maxDepth} levels`);
  let hostile = false;
  let value: unknown;
  try {
    value = JSON.parse(text, (key, part: unknown) => {
      if (key === "__proto__") hostile = true;
      return part;
    });
  } catch (error) {
    throw new MeshError(
      "invalid",
      `Request decode failed: the body is not JSON (${error instanceof Error ? shorten(error.message) : "?"})`,
    );
  }
  if (hostile) throw new MeshError("invalid", 'Request decode failed: a property cannot be called "__proto__"');
  return value;
}

/** Checks a value. @throws {MeshError} `invalid` with every problem, each with the property it is about. */
export function parseAs<T>(schema: z.ZodType<T>, value: unknown): T {
  if (value === undefined)
    throw new MeshError("invalid", "Request decode failed: the body is empty; send a JSON object");
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new MeshError("invalid", `Invalid request: ${problems(result.error.issues)}`);
}

function problems(issues: readonly z.core.$ZodIssue[]): string {
  const shown = issues.slice(0, 8).map((issue) => {
    const path = pathText(issue.path);
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  return issues.length > shown.length
    ? `${shown.join("; ")}; and ${issues.length - shown.length} more`
    : shown.join("; ");
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? shorten(String(part)) : `${text}.${shorten(String(part))}`;
  }, "");
}

function shorten(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

/** Deepest nesting of a JSON text, without parsing it: what stands in strings does not count. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === 0x5c) at += 1;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return deepest;
}
