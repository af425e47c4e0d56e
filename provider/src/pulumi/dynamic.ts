/** `@isthmus/provider/dynamic`: the handlers as Pulumi's dynamic provider calls them. The closures of `@isthmus/sdk` end here. */
import { type Handler, type HandlerContext, PartialFailure, type Props } from "./context.ts";
import { processContext } from "./process-context.ts";
import { aclPolicy as aclPolicyHandler } from "./resources/acl-policy.ts";
import { aclToken as aclTokenHandler } from "./resources/acl-token.ts";
import { datacenter as datacenterHandler } from "./resources/datacenter.ts";
import { intention as intentionHandler } from "./resources/intention.ts";
import { meshGateway as meshGatewayHandler } from "./resources/mesh-gateway.ts";
import { proxyDefaults as proxyDefaultsHandler } from "./resources/proxy-defaults.ts";
import { serviceDefaults as serviceDefaultsHandler } from "./resources/service-defaults.ts";
import { serviceRegistration as serviceRegistrationHandler } from "./resources/service-registration.ts";

/** The shape of `pulumi.dynamic.ResourceProvider`, without Pulumi. */
export interface DynamicProvider {
  check(olds: Props, news: Props): Promise<{ inputs: Props; failures: { property: string; reason: string }[] }>;
  diff(
    id: string,
    olds: Props,
    news: Props,
  ): Promise<{ changes?: boolean; replaces?: string[]; deleteBeforeReplace?: boolean }>;
  create(inputs: Props): Promise<{ id: string; outs: Props }>;
  read(id: string, state: Props): Promise<{ id: string; props?: Props; inputs?: Props }>;
  update(id: string, olds: Props, news: Props): Promise<{ outs: Props }>;
  delete(id: string, state: Props): Promise<void>;
}

const ownKey = "__provider";

function withoutOwn(props: Props): Props {
  const { [ownKey]: _, ...rest } = props;
  return rest;
}

/**
 * A handler for Pulumi's dynamic provider. Pulumi keeps its own closure among the properties: handlers do not see it, and
 * what a failed creation leaves behind carries it, or the resource could not be deleted later.
 */
export function dynamicProvider(handler: Handler, context: HandlerContext): DynamicProvider {
  return {
    async check(olds, news) {
      const { inputs, failures } = await handler.check(withoutOwn(olds ?? {}), withoutOwn(news), context);
      return { inputs: { ...inputs }, failures: failures.map((failure) => ({ ...failure })) };
    },
    async diff(id, olds, news) {
      const { replaces, ...rest } = await handler.diff(id, withoutOwn(olds), withoutOwn(news), context);
      return { ...rest, ...(replaces && { replaces: [...replaces] }) };
    },
    async create(inputs) {
      try {
        const { id, outs } = await handler.create(withoutOwn(inputs), context);
        return { id, outs: { ...outs } };
      } catch (error) {
        if (!(error instanceof PartialFailure)) throw error;
        throw new PartialFailure(error.id, { ...error.properties, [ownKey]: inputs[ownKey] }, error.cause);
      }
    },
    async read(id, state) {
      const found = await handler.read(id, withoutOwn(state), context);
      if (!found) return { id: "" };
      return { id, props: { ...found.props }, ...(found.inputs && { inputs: { ...found.inputs } }) };
    },
    async update(id, olds, news) {
      return { outs: { ...(await handler.update(id, withoutOwn(olds), withoutOwn(news), context)) } };
    },
    async delete(id, state) {
      await handler.delete(id, withoutOwn(state), context);
    },
  };
}

const context = processContext((line) => console.log(line));

export const datacenter = dynamicProvider(datacenterHandler, context);
export const meshGateway = dynamicProvider(meshGatewayHandler, context);
export const serviceRegistration = dynamicProvider(serviceRegistrationHandler, context);
export const proxyDefaults = dynamicProvider(proxyDefaultsHandler, context);
export const serviceDefaults = dynamicProvider(serviceDefaultsHandler, context);
export const intention = dynamicProvider(intentionHandler, context);
export const aclPolicy = dynamicProvider(aclPolicyHandler, context);
export const aclToken = dynamicProvider(aclTokenHandler, context);
