/** Finds the route of a path and method. Pure. */
import { MeshError } from "../../model/errors.ts";
import type { Route } from "./call.ts";

export type Match =
  | { readonly found: "route"; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly found: "method"; readonly allowed: readonly string[] }
  | { readonly found: "nothing"; readonly near: readonly string[] };

export interface Router {
  /** @throws {MeshError} `invalid` for a path that is not percent-encoded rightly. */
  match(method: string, path: string): Match;
}

interface Pattern {
  readonly route: Route;
  readonly segments: readonly string[];
  readonly variables: number;
}

/** A literal segment goes before a `:name` one. @throws {Error} for two routes of the same method and path. */
export function createRouter(routes: readonly Route[]): Router {
  const byLength = new Map<number, Pattern[]>();
  const seen = new Set<string>();
  for (const route of routes) {
    const key = `${route.method} ${route.path.replaceAll(/:[a-z]+/g, ":")}`;
    if (seen.has(key)) throw new Error(`two routes for ${key}`);
    seen.add(key);
    const segments = route.path.split("/").slice(1);
    const variables = segments.filter((segment) => segment.startsWith(":")).length;
    byLength.set(segments.length, [...(byLength.get(segments.length) ?? []), { route, segments, variables }]);
  }
  for (const patterns of byLength.values()) patterns.sort((a, b) => a.variables - b.variables);

  return {
    match: (method, path) => {
      const segments = path.replace(/\/$/, "").split("/").slice(1).map(decode);
      const matching = (byLength.get(segments.length) ?? []).filter((pattern) => fits(pattern, segments));
      const best = matching[0];
      // A literal path hides a variable one for every method: /policy/name/x is no policy called "name".
      const same = matching.filter((pattern) => pattern.variables === best?.variables);
      const hit =
        same.find((pattern) => pattern.route.method === method) ??
        matching.find((pattern) => pattern.route.method === method);
      if (hit) return { found: "route", route: hit.route, params: paramsOf(hit, segments) };
      if (best)
        return { found: "method", allowed: [...new Set(matching.map((pattern) => pattern.route.method))].sort() };
      return { found: "nothing", near: near(routes, segments) };
    },
  };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new MeshError("invalid", "the path is not percent-encoded rightly");
  }
}

function fits(pattern: Pattern, segments: readonly string[]): boolean {
  return pattern.segments.every((part, at) => (part.startsWith(":") ? segments[at] !== "" : part === segments[at]));
}

function paramsOf(pattern: Pattern, segments: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pattern.segments.flatMap((part, at) => (part.startsWith(":") ? [[part.slice(1), segments[at] ?? ""]] : [])),
  );
}

/** Paths of the same family, at most six. */
function near(routes: readonly Route[], segments: readonly string[]): readonly string[] {
  for (const length of [3, 2]) {
    const start = `/${segments.slice(0, length).join("/")}`;
    const family = [...new Set(routes.map((route) => route.path))].filter(
      (path) => path === start || path.startsWith(`${start}/`),
    );
    if (family.length > 0) return family.slice(0, 6);
  }
  return [];
}
