/** The floor of every figure about `up`: as many dynamic resources as the example has, with handlers that do nothing. */
import * as pulumi from "@pulumi/pulumi";

const provider: pulumi.dynamic.ResourceProvider = {
  create: async (inputs) => ({ id: "empty", outs: inputs }),
  diff: async () => ({ changes: false }),
};

class Empty extends pulumi.dynamic.Resource {
  constructor(name: string, dependsOn: pulumi.Resource[]) {
    super(provider, name, { name }, { dependsOn }, "isthmus", "Empty");
  }
}

const dc1 = new Empty("dc1", []);
const dc2 = new Empty("dc2", [dc1]);
new Empty("global", [dc1]);
new Empty("gateway-primary", [dc1]);
new Empty("gateway-secondary", [dc2]);
const socat = new Empty("socat", [dc1]);
const web = new Empty("web", [dc2, socat]);
new Empty("web-to-socat", [dc1, socat, web]);
