/** What the plugin answers, in plain data: the handlers with what only the plugin can do (previews, detailed diffs, import). */
import type { OwnerSpec } from "@isthmus/sdk/spec";
import { isMeshError } from "../../model/errors.ts";
import { type HandlerContext, PartialFailure, type Props, type ReadResult } from "../context.ts";
import { changedInputs } from "../properties.ts";
import { isRenewalDue, type ProxyCertificate } from "../proxy-unit.ts";
import { within } from "../waiting.ts";
import { adopt, inputsInForce } from "./adopt.ts";
import { foreseenCreation, foreseenUpdate, type Noun } from "./noun.ts";
import { type PropertyChange, propertyChanges } from "./property-diff.ts";

/** One property that is wrong, by its whole path. */
export interface Failure {
  readonly property: string;
  readonly reason: string;
}

/** Fills in what a program need not say, and checks the inputs. */
export async function check(
  noun: Noun,
  olds: Props,
  news: Props,
  filledIn: { readonly name: string; readonly owner: () => OwnerSpec },
  context: HandlerContext,
): Promise<{ readonly inputs: Props; readonly failures: readonly Failure[] }> {
  const name = "name" in noun.schema.shape && noun.name !== "ProxyDefaults" ? { name: filledIn.name } : {};
  const owner = news["owner"] === undefined ? { owner: filledIn.owner() } : {};
  const { inputs, failures } = await noun.handler.check(olds, { ...name, ...owner, ...news }, context);
  return { inputs, failures: failures.map(withPath) };
}

/** The handlers' reasons begin with the property's path. */
function withPath({ property, reason }: Failure): Failure {
  const end = reason.indexOf(": ");
  const path = reason.slice(0, end);
  const isPath = end > 0 && path.startsWith(property) && !/\s/.test(path);
  return isPath ? { property: path, reason: reason.slice(end + 2) } : { property, reason };
}

/** A diff with every difference by its path. */
export interface DetailedDiff {
  readonly changes: readonly (PropertyChange & {
    /** It makes another thing of it. */
    readonly replaces: boolean;
    /** In the inputs; otherwise in what is there. */
    readonly inInputs: boolean;
  })[];
  readonly replaces: readonly string[];
  readonly deleteBeforeReplace: boolean;
}

/** `olds` are former outputs, or what a refresh found. */
export async function diff(
  noun: Noun,
  id: string,
  olds: Props,
  news: Props,
  context: HandlerContext,
): Promise<DetailedDiff> {
  const { changes, replaces = [], deleteBeforeReplace = false } = await noun.handler.diff(id, olds, news, context);
  const inputs = propertyChanges(olds, news, changedInputs(olds, news, noun.schema)).map((change) => ({
    ...change,
    replaces: replaces.includes(change.property),
    inInputs: true,
  }));
  const drift = inputs.length === 0 && changes === true ? await drifted(noun, id, olds, context) : [];
  return { changes: [...inputs, ...drift], replaces, deleteBeforeReplace };
}

/** What is not as the state says, though no input changed. */
async function drifted(noun: Noun, id: string, olds: Props, context: HandlerContext): Promise<DetailedDiff["changes"]> {
  const said = (property: string) => [
    { path: property, property, kind: "update" as const, replaces: false, inInputs: false },
  ];
  if ("running" in noun.outputs.shape) {
    const certificate = olds["certificate"] as ProxyCertificate | undefined;
    const isRenewal =
      olds["running"] !== false && certificate !== undefined && isRenewalDue(certificate, context.now());
    return said(isRenewal ? "certificate" : "running");
  }
  const found = await within(context.diffMs, () =>
    noun.handler.read(id, olds, { ...context, deadlineMs: context.diffMs }),
  );
  const changed = found ? changedInputs(olds, found.props, noun.schema) : [];
  return changed.length > 0 ? changed.flatMap(said) : said("id");
}

/** Creates it, or says what would come of it. */
export async function create(
  noun: Noun,
  inputs: Props,
  isPreview: boolean,
  context: HandlerContext,
): Promise<{ readonly id: string; readonly props: Props }> {
  if (isPreview) return { id: "", props: foreseenCreation(noun, inputs) };
  const { id, outs } = await noun.handler.create(inputs, context);
  return { id, props: outs };
}

/**
 * Updates it, or says what would come of it.
 * @throws {PartialFailure} when it failed: some of it may have been done, so the next update has to finish it.
 */
export async function update(
  noun: Noun,
  id: string,
  olds: Props,
  news: Props,
  isPreview: boolean,
  context: HandlerContext,
): Promise<Props> {
  if (isPreview) return foreseenUpdate(noun, olds, news);
  try {
    return await noun.handler.update(id, olds, news, context);
  } catch (error) {
    if (isMeshError(error) && error.code === "already_exists") throw error;
    const kept = { ...olds, ...news };
    const isUnit = "running" in noun.outputs.shape;
    throw new PartialFailure(id, isUnit ? { ...kept, running: false } : kept, error);
  }
}

/** As it is: with a state for refresh, without for import. Undefined when it is gone. */
export async function read(
  noun: Noun,
  id: string,
  former: { readonly inputs: Props; readonly state: Props },
  owner: () => OwnerSpec,
  context: HandlerContext,
): Promise<ReadResult | undefined> {
  if (Object.keys(former.state).length === 0) return await adopt(noun, id, owner(), context);
  const found = await noun.handler.read(id, former.state, context);
  if (!found) return undefined;
  const inForce = found.inputs ?? { ...former.inputs, ...(await inputsInForce(noun, former.state, context)) };
  return { props: { ...found.props, ...inForce }, inputs: inForce };
}
