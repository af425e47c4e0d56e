/** Carries the engine's API over `ssh <host> docker system dial-stdio`, as Docker's own client does; the user's ssh settings hold. */
import { spawn } from "node:child_process";
import { Agent } from "node:http";
import { Duplex } from "node:stream";
import { MeshError } from "../../model/errors.ts";

/** What ssh says is shown up to this length. */
const maxReasonBytes = 2_000;

/**
 * An HTTP agent whose connections are ssh processes, one per request.
 * @param url `ssh://[user@]host[:port]`
 * @param env the environment of ssh, its PATH and agent among it
 * @throws {MeshError} `invalid` when the address could be taken for an option of ssh.
 */
export function createSshAgent(url: URL, env: NodeJS.ProcessEnv): Agent {
  const target = url.username ? `${decodeURIComponent(url.username)}@${url.hostname}` : url.hostname;
  if (!/^[A-Za-z0-9_]/.test(target)) throw new MeshError("invalid", `DOCKER_HOST names no host: ${url.href}`);
  const args = [...(url.port ? ["-p", url.port] : []), "--", target, "docker", "system", "dial-stdio"];
  const agent = new Agent({ keepAlive: false });
  agent.createConnection = () => dialStandardStreams(args, env);
  return agent;
}

function dialStandardStreams(args: readonly string[], env: NodeJS.ProcessEnv): Duplex {
  const child = spawn("ssh", args, { env, stdio: ["pipe", "pipe", "pipe"] });
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  let reason = "";
  child.stderr.on("data", (chunk: Buffer) => {
    reason = (reason + String(chunk)).slice(-maxReasonBytes);
  });
  child.once("error", (error) => stream.destroy(error));
  child.once("exit", (code) => {
    if (code !== 0) stream.destroy(new Error(`ssh ended with ${code}: ${reason.trim()}`));
  });
  stream.once("close", () => child.kill());
  return stream;
}
