/** Requests that the primary answers: sent there, and answered only when the result can be read here. */
import type { Call, Reply } from "./call.ts";
import type { ApiDependencies, PrimaryLink } from "./dependencies.ts";

/** A reply whose body is passed on as it came. */
export type ForwardedReply = Reply & { readonly body: Uint8Array };

/** @param asked the query without which datacenter it is for. @throws {MeshError} `unavailable` when the primary does not answer or its write does not arrive here in time. */
export async function forwardToPrimary(
  deps: ApiDependencies,
  primary: PrimaryLink,
  call: Call,
  asked: URLSearchParams,
): Promise<ForwardedReply> {
  const query = new URLSearchParams(asked);
  query.delete("dc");
  const response = await primary.forward({
    method: call.method,
    path: call.path,
    query: query.size === 0 ? "" : `?${query}`,
    token: call.token,
    operator: call.operator,
    body: await call.bytes(),
  });
  const index = Number(response.headers["x-consul-index"]);
  const isWrite = call.method !== "GET";
  if (isWrite && response.status < 300 && Number.isSafeInteger(index) && index > 0)
    await primary.awaitReplicated(index);
  return {
    status: response.status,
    body: response.body,
    contentType: response.headers["content-type"] ?? "text/plain; charset=utf-8",
    // The primary's index means nothing to a reader of this datacenter's writes.
    headers: {
      "X-Consul-Index": isWrite ? String(Math.max(1, deps.store.index)) : (response.headers["x-consul-index"] ?? "1"),
    },
  };
}
