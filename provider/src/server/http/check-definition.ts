/** Schema of a check in a body. */
import { isIP } from "node:net";
import { z } from "zod";
import type { CheckInput } from "../../catalog/definitions.ts";
import { parseDurationMs } from "../../model/duration.ts";
import { apiObject, durationOrNone, identifierOrNone, text } from "./fields.ts";

const unsupported = [
  "Args",
  "ScriptArgs",
  "Script",
  "DockerContainerID",
  "Shell",
  "Body",
  "DisableRedirects",
  "TCPUseTLS",
  "UDP",
  "GRPC",
  "GRPCUseTLS",
  "H2PING",
  "H2PingUseTLS",
  "OSService",
  "TLSServerName",
  "TLSSkipVerify",
  "AliasNode",
  "SuccessBeforePassing",
  "FailuresBeforeWarning",
  "FailuresBeforeCritical",
  "OutputMaxSize",
];

const status = z.enum(["passing", "warning", "critical"], { error: 'must be "passing", "warning" or "critical"' });

const tcpTarget = z
  .string()
  .refine(
    (target) => target === "" || isTcpTarget(target),
    'must be address:port with an IP address or localhost, such as "127.0.0.1:8080"',
  );

const httpTarget = z
  .string()
  .refine(
    (target) => target === "" || isHttpTarget(target),
    'must be an http:// URL with an IP address or localhost, such as "http://127.0.0.1:8080/health"',
  );

const interval = durationOrNone.refine(
  (value) => value === "" || (parseDurationMs(value) ?? 0) >= 100,
  "must be at least 100ms",
);

const shape = {
  CheckID: identifierOrNone.exactOptional(),
  Name: text.exactOptional(),
  Notes: text.exactOptional(),
  Status: z
    .union([z.literal("").transform(() => undefined), status], { error: 'must be "passing", "warning" or "critical"' })
    .exactOptional(),
  TCP: tcpTarget.exactOptional(),
  HTTP: httpTarget.exactOptional(),
  Method: z.enum(["", "GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE"]).exactOptional(),
  Header: z.record(z.string().max(128), z.array(z.string().max(1024)).max(16)).exactOptional(),
  TTL: durationOrNone.exactOptional(),
  AliasService: identifierOrNone.exactOptional(),
  Interval: interval.exactOptional(),
  Timeout: durationOrNone.exactOptional(),
  DeregisterCriticalServiceAfter: durationOrNone.exactOptional(),
} as const;

/** A check inside a service's registration. */
export const checkDefinition = apiObject(
  { ...shape, ID: identifierOrNone.exactOptional() },
  { unsupported, ignored: ["ServiceID"] },
).transform(({ ID, ...rest }): CheckInput => present({ ...rest, CheckID: rest.CheckID || ID }));

/** A check registered by itself: its service, or none for a check of the node. */
export const standaloneCheck = apiObject(
  { ...shape, ID: identifierOrNone.exactOptional(), ServiceID: identifierOrNone.exactOptional() },
  { unsupported },
).transform(({ ID, ServiceID, ...rest }, context) => {
  const id = rest.CheckID || ID;
  if (!id && !rest.Name)
    context.addIssue({
      code: "custom",
      path: ["Name"],
      message: "is missing: a check needs a Name or an ID",
      input: rest,
    });
  return { check: present({ ...rest, CheckID: id }), serviceId: ServiceID ?? "" };
});

/** Without properties that are undefined. */
function present(check: { readonly [K in keyof CheckInput]: CheckInput[K] | undefined }): CheckInput {
  return Object.fromEntries(Object.entries(check).filter(([, value]) => value !== undefined)) as CheckInput; // only undefined went
}

function isTcpTarget(target: string): boolean {
  const at = target.lastIndexOf(":");
  const host = target.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  const port = target.slice(at + 1);
  return at > 0 && isLiteral(host) && /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535;
}

function isHttpTarget(target: string): boolean {
  if (!URL.canParse(target)) return false;
  const url = new URL(target);
  return url.protocol === "http:" && url.username === "" && isLiteral(url.hostname.replace(/^\[(.*)\]$/, "$1"));
}

function isLiteral(host: string): boolean {
  return host === "localhost" || isIP(host) !== 0;
}
