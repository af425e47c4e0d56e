/** What a client says when it registers something: services, sidecars and checks before they become records. */
import type { Address, CheckStatus, ProxyConfig, ServiceKind } from "../model/records.ts";

/** A check as registered. Exactly one of TCP, HTTP, TTL and AliasService is set; durations are Go's (`10s`). */
export interface CheckInput {
  readonly CheckID?: string;
  readonly Name?: string;
  readonly Notes?: string;
  /** Status until the first result. @default critical */
  readonly Status?: CheckStatus;
  readonly TCP?: string;
  readonly HTTP?: string;
  readonly Method?: string;
  readonly Header?: Readonly<Record<string, readonly string[]>>;
  readonly TTL?: string;
  /** Id of the service instance on the same node whose health this check repeats. */
  readonly AliasService?: string;
  readonly Interval?: string;
  readonly Timeout?: string;
  readonly DeregisterCriticalServiceAfter?: string;
}

interface InstanceInput {
  readonly Tags?: readonly string[];
  readonly Meta?: Readonly<Record<string, string>>;
  readonly Address?: string;
  /** 0 or absent: none; a sidecar gets a free one. */
  readonly Port?: number;
  readonly TaggedAddresses?: Readonly<Record<string, Address>>;
  readonly Weights?: { readonly Passing: number; readonly Warning: number };
  readonly EnableTagOverride?: boolean;
  readonly Proxy?: ProxyConfig;
  readonly Check?: CheckInput;
  readonly Checks?: readonly CheckInput[];
}

/** `Connect.SidecarService`: a sidecar whose missing parts follow from its service. */
export interface SidecarInput extends InstanceInput {
  readonly Name?: string;
}

/** A service, an explicit sidecar or a gateway as registered. */
export interface ServiceInput extends InstanceInput {
  /** @default the name */
  readonly ID?: string;
  readonly Name: string;
  readonly Kind?: ServiceKind;
  readonly Connect?: { readonly SidecarService?: SidecarInput };
}
