/** The world outside as a provider process has it. */
import { detectRuntime, openRuntime, usableRuntimes } from "../runtime/open.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { openApi } from "./api-client.ts";
import type { HandlerContext } from "./context.ts";

/** Runs it once and keeps the result; a failure is forgotten, so that the next call tries again. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= make().catch((error: unknown) => {
      result = undefined;
      throw error;
    });
    return result;
  };
}

/** Pulumi starts one provider process for each phase, which all resources share; runtimes are opened once in it. */
export function processContext(log: HandlerContext["log"]): HandlerContext {
  const opened = new Map<Runtime["kind"], () => Promise<Runtime>>();
  const openOnce = (kind: Runtime["kind"]): Promise<Runtime> => {
    const open = opened.get(kind) ?? once(async () => await openRuntime(kind));
    opened.set(kind, open);
    return open();
  };
  return {
    openRuntime: openOnce,
    detectRuntime: once(async () => await detectRuntime()),
    findRuntimes: () => usableRuntimes(openOnce),
    openApi,
    log,
    now: Date.now,
    deadlineMs: 60_000,
    diffMs: 1_000,
  };
}
