/** `isthmus echo`: sends a line from one service to another and shows each hop. */
import { parseArgs } from "node:util";
import { MeshError } from "../model/errors.ts";
import type { Command } from "./command-line.ts";
import { findUnits } from "./mesh-view.ts";
import { describeEcho, echo } from "./probe.ts";
import { findProject, readMeshId } from "./project.ts";

export const echoCommand: Command = async (args, terminal) => {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { from: { type: "string", default: "web" }, to: { type: "string" } },
    allowPositionals: true,
  });
  const text = positionals.join(" ");
  if (text === "") throw new MeshError("invalid", "echo: what should be sent? For example: isthmus echo -- hello");
  const mesh = await readMeshId(await findProject(terminal.cwd));
  const units = mesh === undefined ? [] : await findUnits(mesh);
  if (units.length === 0) throw new MeshError("not_found", "nothing is up; run `isthmus up` first");
  const result = await echo({ from: values.from, ...(values.to === undefined ? {} : { to: values.to }) }, text, units);
  terminal.say(describeEcho(result));
  if (result.answer === text) return 0;
  terminal.say(`the answer differs from what was sent: ${text}`);
  return 1;
};
