/** The program of the end-to-end tests: the example's federation, with what a test wants different read from E2E (JSON). */
import * as mesh from "@isthmus/sdk";
import type { Variant } from "./variant";

const variant: Variant = {
  intention: "allow",
  secondGateway: false,
  mode: "local",
  defaultPolicy: "deny",
  tags: [],
  secret: undefined,
  ...JSON.parse(process.env["E2E"] ?? "{}"),
};

const echo = `
const net = require("node:net");
net.createServer((socket) => {
  if (process.env.BANNER) socket.write(process.env.BANNER + "\\n");
  socket.on("error", () => socket.destroy());
  socket.pipe(socket);
}).listen(Number(process.env.ISTHMUS_SERVICE_PORT), process.env.ISTHMUS_SERVICE_ADDRESS);
`;
const idle = `
require("node:net").createServer((socket) => socket.end()).listen(Number(process.env.ISTHMUS_SERVICE_PORT), process.env.ISTHMUS_SERVICE_ADDRESS);
`;
const node = (script: string, env: Record<string, string> = {}) => ({ command: "node", args: ["-e", script], env });

const dc1 = new mesh.Datacenter("dc1", { primary: true, acl: { defaultPolicy: variant.defaultPolicy } });
const dc2 = new mesh.Datacenter("dc2", { primary: dc1 });
new mesh.ProxyDefaults("global", { datacenter: dc1, meshGateway: { mode: variant.mode } });
new mesh.MeshGateway("gateway-primary", { datacenter: dc1 });
new mesh.MeshGateway("gateway-secondary", { datacenter: dc2 });
if (variant.secondGateway) {
  new mesh.MeshGateway("gateway-primary-2", { datacenter: dc1 });
  new mesh.MeshGateway("gateway-secondary-2", { datacenter: dc2 });
}
const socat = new mesh.ServiceRegistration("socat", {
  datacenter: dc1,
  port: 8181,
  tags: variant.tags,
  run: node(echo),
  connect: { sidecarService: {} },
});
const bannerToken =
  variant.secret === undefined
    ? undefined
    : new mesh.AclToken("banner", { datacenter: dc1, serviceIdentities: [{ serviceName: "banner" }] });
const banner = new mesh.ServiceRegistration("banner", {
  datacenter: dc1,
  port: 9000,
  run: {
    ...node(echo, { BANNER: "220 banner speaks first" }),
    ...(variant.secret !== undefined && { secretFiles: { "secret.txt": variant.secret } }),
  },
  ...(bannerToken && { token: bannerToken.secretId }),
  connect: { sidecarService: {} },
});
const web = new mesh.ServiceRegistration("web", {
  datacenter: dc2,
  port: 8080,
  run: node(idle),
  connect: {
    sidecarService: {
      proxy: {
        upstreams: [
          { destinationName: socat, datacenter: dc1, localBindPort: 8181 },
          { destinationName: banner, datacenter: dc1, localBindPort: 8182 },
        ],
      },
    },
  },
});
if (variant.intention) {
  new mesh.Intention("web-to-socat", { datacenter: dc1, source: web, destination: socat, action: variant.intention });
}
