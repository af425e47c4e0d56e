/** The connection to a Docker engine and its habits: which one, whether it answers, and what its errors mean. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { MeshError } from "../../model/errors.ts";

/** A client of one engine. */
export type Engine = Docker;

/**
 * A client for the engine that DOCKER_HOST names, else the one behind the usual Unix socket. Opens no connection.
 * @throws {MeshError} `invalid` for an address that it cannot use.
 */
export function connectEngine(env: NodeJS.ProcessEnv): Engine {
  const host = env["DOCKER_HOST"] || "unix:///var/run/docker.sock";
  const url = URL.parse(host);
  if (url?.protocol === "unix:") return new Docker({ socketPath: url.pathname });
  if (url?.protocol !== "tcp:" && url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new MeshError(
      "invalid",
      `DOCKER_HOST is ${host}: use unix://, tcp://, http:// or https:// (for ssh, forward the engine's socket with ssh -L)`,
    );
  }
  const certificates = env["DOCKER_CERT_PATH"];
  const tls = url.protocol === "https:" || (env["DOCKER_TLS_VERIFY"] ?? "") !== "" || url.port === "2376";
  return new Docker({
    host: url.hostname,
    port: Number(url.port) || (tls ? 2376 : 2375),
    protocol: tls ? "https" : "http",
    ...(tls && certificates
      ? {
          ca: readFileSync(join(certificates, "ca.pem"), "utf8"),
          cert: readFileSync(join(certificates, "cert.pem"), "utf8"),
          key: readFileSync(join(certificates, "key.pem"), "utf8"),
        }
      : {}),
  });
}

/** Whether the engine answers within the time. */
export async function engineAnswers(engine: Engine, timeoutMs: number): Promise<boolean> {
  try {
    await engine.listNetworks({ abortSignal: AbortSignal.timeout(timeoutMs) });
    return true;
  } catch {
    return false;
  }
}

/** The HTTP status of an engine's error; undefined for any other error. */
export function engineStatus(error: unknown): number | undefined {
  return error instanceof Error && "statusCode" in error && typeof error.statusCode === "number"
    ? error.statusCode
    : undefined;
}

/** Undefined instead of an error with one of these statuses: what should go is gone, what should be made is there. */
export async function unless<T>(statuses: readonly number[], call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    const status = engineStatus(error);
    if (status !== undefined && statuses.includes(status)) return undefined;
    throw error;
  }
}

/** Turns an engine's error into ours, with what was tried; a MeshError stays as it is. */
export function engineError(doing: string, cause: unknown): MeshError {
  if (cause instanceof MeshError) return cause;
  const text = cause instanceof Error ? cause.message.trim() : String(cause);
  if (engineStatus(cause) !== undefined) return new MeshError("internal", `${doing}: Docker says: ${text}`, { cause });
  return new MeshError("unavailable", `${doing}: no answer from the Docker engine (${text}): is it running?`, {
    cause,
  });
}
