/** What a user can say of who may call whom. Pure. */
import { z } from "zod";
import { nameSchema, ownerSchema, problemAt, serviceOrWildcardSchema, show, strict } from "./shared.ts";

export const intentionSchema = strict({
  datacenter: nameSchema("datacenter").describe("Through which datacenter it is written; it holds in all of them."),
  source: serviceOrWildcardSchema.describe('Who calls: a service, or "*" for every one.'),
  destination: serviceOrWildcardSchema.describe('Who is called: a service, or "*" for every one.'),
  action: z
    .enum(["allow", "deny"], {
      error: (issue) => `${show(issue.input)} is no action; use "allow" or "deny"`,
    })
    .describe("Whether the call is allowed."),
  description: z
    .string()
    .max(512, { error: "is longer than 512 characters; shorten it" })
    .default("")
    .describe("Free text."),
  owner: ownerSchema,
}).check((context) => {
  const { source, destination } = context.value;
  if (source === destination && source !== "*") {
    const message = `${show(destination)} is the source too; an intention is between two services, so name another one`;
    context.issues.push({ ...problemAt(["destination"], message), input: context.value });
  }
});

/** An intention with every default filled in. */
export type IntentionSpec = z.infer<typeof intentionSchema>;
