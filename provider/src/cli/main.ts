/** Entry of the `isthmus` command: picks the command, prints errors in one line, sets the exit code. */
import { spawn } from "node:child_process";
import { isMeshError } from "../model/errors.ts";
import { isNewEnough, nodeBinary } from "../toolchain/node.ts";
import type { Command } from "./command-line.ts";

const USAGE = `isthmus: a service mesh across datacenters as one Pulumi program

  isthmus up [--stack NAME]                  set up what is missing, pulumi up, then an echo through the mesh
  isthmus preview [--stack NAME]             pulumi preview --diff
  isthmus echo [--from web] [--to socat] -- TEXT
                                             send a line from one service to another and show each hop
  isthmus status [--json]                    datacenters, proxies and units
  isthmus down [--stack NAME] [--purge]      pulumi destroy, then check that nothing is left;
                                             --purge also removes tools, images and the stack's backend`;

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import("./up.ts")).up,
  preview: async () => (await import("./preview.ts")).preview,
  echo: async () => (await import("./echo.ts")).echoCommand,
  status: async () => (await import("./status.ts")).status,
  down: async () => (await import("./down.ts")).down,
};

async function main(argv: readonly string[]): Promise<number> {
  const [name = "help", ...args] = argv;
  const load = COMMANDS[name];
  if (load === undefined) {
    console.log(USAGE);
    return ["help", "--help", "-h"].includes(name) ? 0 : 2;
  }
  const say = (line: string) => console.log(line);
  if (!isNewEnough(process.versions.node)) return runWith(await nodeBinary(say));
  const command = await load();
  return command(args, { cwd: process.cwd(), say });
}

/** The same command with another Node. */
function runWith(node: string): Promise<number> {
  const child = spawn(node, process.argv.slice(1), { stdio: "inherit" });
  process.on("SIGINT", () => {}).on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => child.on("error", reject).on("exit", (code) => resolve(code ?? 1)));
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known =
    isMeshError(error) ||
    (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"));
  console.error(`isthmus: ${known ? error.message : error instanceof Error ? error.stack : String(error)}`);
  process.exitCode = 1;
}
