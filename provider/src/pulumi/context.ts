/** What every handler is given, and what a handler is. Independent of how Pulumi reaches it. */
import type { SpecFailure } from "@isthmus/sdk/spec";
import type { Runtime } from "../runtime/runtime.ts";
import type { ApiClient } from "./api-client.ts";

/** Properties as they come and go: plain JSON. */
export type Props = Readonly<Record<string, unknown>>;

/** The world outside, passed in. */
export interface HandlerContext {
  readonly openRuntime: (kind: Runtime["kind"]) => Promise<Runtime>;
  /** Which runtime a new datacenter gets. */
  readonly detectRuntime: () => Promise<Runtime["kind"]>;
  /** Every runtime that can be asked on this machine, the quickest first. */
  readonly findRuntimes: () => AsyncIterable<Runtime>;
  readonly openApi: (runtime: Runtime, mesh: string, datacenter: string) => ApiClient;
  /** Shown to the user. */
  readonly log: (line: string) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How long an operation may wait for the mesh to do its part. */
  readonly deadlineMs: number;
  /** How long a diff may look at the mesh; after that it has no opinion. */
  readonly diffMs: number;
  /** Ends every wait with an error when it is aborted. @default never */
  readonly signal?: AbortSignal;
}

/**
 * What a diff says. `changes: undefined` leaves it to the engine to compare inputs (and to show them one by one), true
 * is for what is wrong outside while the inputs are equal.
 */
export interface DiffResult {
  readonly changes?: boolean;
  readonly replaces?: readonly string[];
  readonly deleteBeforeReplace?: boolean;
}

/** A resource as it is. */
export interface ReadResult {
  readonly props: Props;
  /** Inputs, where what is there shows them. */
  readonly inputs?: Props;
}

/**
 * One noun's way into the world. Inputs were checked; `olds` and `state` are former outputs, which hold the inputs too.
 * Every operation is idempotent.
 */
export interface Handler {
  check(
    olds: Props,
    news: Props,
    context: HandlerContext,
  ): Promise<{ readonly inputs: Props; readonly failures: readonly SpecFailure[] }>;
  diff(id: string, olds: Props, news: Props, context: HandlerContext): Promise<DiffResult>;
  /** @throws {PartialFailure} when something was made. */
  create(inputs: Props, context: HandlerContext): Promise<{ readonly id: string; readonly outs: Props }>;
  /** Undefined when it is gone. */
  read(id: string, state: Props, context: HandlerContext): Promise<ReadResult | undefined>;
  update(id: string, olds: Props, news: Props, context: HandlerContext): Promise<Props>;
  delete(id: string, state: Props, context: HandlerContext): Promise<void>;
}

/**
 * A creation that failed half-way. Pulumi records the resource with the reasons, and the next update puts it right. The
 * property names are those that its dynamic provider looks for.
 */
export class PartialFailure extends Error {
  override readonly name = "PartialFailure";
  readonly id: string;
  readonly properties: Props;
  readonly reasons: readonly string[];

  constructor(id: string, properties: Props, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(reason, { cause });
    this.id = id;
    this.properties = properties;
    this.reasons = [reason];
  }
}
