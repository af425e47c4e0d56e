/** A client of a control plane's API whose calls end when they are cancelled, also those that wait for an answer. */
import { MeshError } from "../../model/errors.ts";
import type { ApiClient } from "../api-client.ts";

/** The client, which is closed when the signal is aborted: every call then fails with `unavailable` and the signal's reason. */
export function cancellable(client: ApiClient, datacenter: string, signal: AbortSignal): ApiClient {
  const onAbort = (): void => client.close();
  signal.addEventListener("abort", onAbort, { once: true });
  const close = (): void => {
    signal.removeEventListener("abort", onAbort);
    client.close();
  };
  const call = async <T>(make: () => Promise<T>): Promise<T> => {
    try {
      return await make();
    } catch (cause) {
      if (!signal.aborted) throw cause;
      const why = (signal.reason as Error).message;
      throw new MeshError("unavailable", `control plane of "${datacenter}" has not answered: ${why}`, { cause });
    }
  };
  return {
    get: (path, options) => call(() => client.get(path, options)),
    read: (path, options) => call(() => client.read(path, options)),
    put: (path, body, options) => call(() => client.put(path, body, options)),
    delete: (path) => call(() => client.delete(path)),
    close,
    [Symbol.dispose]: close,
  };
}
