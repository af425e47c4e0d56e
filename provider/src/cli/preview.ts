/** `isthmus preview`: what `up` would change, property by property. */
import { parseArgs } from "node:util";
import { type Command, DEFAULT_STACK } from "./command-line.ts";
import { ensureMeshId, findProject } from "./project.ts";
import { openStack } from "./stack.ts";

export const preview: Command = async (args, terminal) => {
  const { values } = parseArgs({ args: [...args], options: { stack: { type: "string", default: DEFAULT_STACK } } });
  const project = await findProject(terminal.cwd);
  await ensureMeshId(project);
  const stack = await openStack(project, values.stack, terminal.say);
  await stack.ensure();
  await stack.run(["preview", "--diff"]);
  return 0;
};
