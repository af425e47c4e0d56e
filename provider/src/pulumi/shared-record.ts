/** Handlers of what the whole federation shares and the primary writes: config entries, intentions, policies. */
import { isDeepStrictEqual } from "node:util";
import type { OwnerSpec } from "@isthmus/sdk/spec";
import type { ApiClient } from "./api-client.ts";
import type { Handler, HandlerContext, Props } from "./context.ts";
import { type InDatacenter, ifPrimary, withPrimary } from "./control-plane-access.ts";
import { checkBy, type DiffRules, diffInputs } from "./properties.ts";
import { recorded } from "./unit-lifecycle.ts";
import { within } from "./waiting.ts";

/** What makes one shared noun differ from another. All calls go to the primary's API. */
export interface SharedNoun<Spec extends InDatacenter> {
  readonly schema: DiffRules["schema"];
  /** Inputs that make it another record; the mesh always does. */
  readonly identity: readonly string[];
  readonly idOf: (spec: Spec) => string;
  /** The inputs that what is there stands for; undefined when it is not there. */
  readonly find: (api: ApiClient, spec: Spec) => Promise<Props | undefined>;
  /** Writes it, whether or not it is there; returns computed outputs. */
  readonly write: (api: ApiClient, spec: Spec) => Promise<Props>;
  /** Absence is success. */
  readonly remove: (api: ApiClient, spec: Spec) => Promise<void>;
  /** What else has to follow a write or a removal. */
  readonly afterwards?: (spec: Spec, context: HandlerContext) => Promise<void>;
}

/** Without what is undefined, so that an absent property equals one that is not given. */
function given(props: Props): Props {
  return Object.fromEntries(Object.entries(props).filter(([, value]) => value !== undefined));
}

/** Handlers of a shared noun. */
export function sharedHandler<Spec extends InDatacenter>(noun: SharedNoun<Spec>): Handler {
  const specOf = (props: Props): Spec => props as unknown as Spec;
  const inputsOf = (props: Props): Props =>
    given(Object.fromEntries(Object.keys(noun.schema.shape).map((key) => [key, props[key]])));
  const write = async (props: Props, context: HandlerContext): Promise<Props> => {
    const spec = specOf(props);
    const outs = await withPrimary(spec, context, ({ api }) => noun.write(api, spec));
    await noun.afterwards?.(spec, context);
    return { ...inputsOf(props), ...outs };
  };
  const find = (props: Props, context: HandlerContext): Promise<Props | undefined> =>
    withPrimary(specOf(props), context, ({ api }) => noun.find(api, specOf(props)));

  return {
    check: checkBy(noun.schema),
    diff: (_id, olds, news, context) => {
      const moved = (olds["owner"] as OwnerSpec | undefined)?.mesh !== (news["owner"] as OwnerSpec | undefined)?.mesh;
      const rules = {
        schema: noun.schema,
        identity: [...noun.identity, ...(moved ? ["owner"] : [])],
        exclusive: false,
      };
      return diffInputs(olds, news, rules, () =>
        within(context.diffMs, async () => {
          const found = await find(news, { ...context, deadlineMs: context.diffMs });
          return found === undefined || !isDeepStrictEqual(inputsOf({ ...news, ...found }), inputsOf(news));
        }),
      );
    },
    create: (inputs, context) => recorded(noun.idOf(specOf(inputs)), inputs, () => write(inputs, context)),
    async read(_id, state, context) {
      const found = await find(state, context);
      if (!found) return undefined;
      return { props: given({ ...state, ...found }), inputs: inputsOf({ ...state, ...found }) };
    },
    update: (_id, _olds, news, context) => write(news, context),
    async delete(_id, state, context) {
      await ifPrimary(specOf(state), context, ({ api }) => noun.remove(api, specOf(state)));
      await noun.afterwards?.(specOf(state), context);
    },
  };
}
