// Two datacenters, a gateway in each, and a service in one that calls a service in the other.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as mesh from "@isthmus/sdk";

const script = (name: string): string => readFileSync(join(__dirname, name), "utf8");

// dc1 is the primary: it holds the root certificate and decides on intentions. dc2 joins it.
const dc1 = new mesh.Datacenter("dc1", { primary: true });
const dc2 = new mesh.Datacenter("dc2", { primary: dc1 });

// Traffic to another datacenter leaves through a gateway of one's own datacenter.
new mesh.ProxyDefaults("global", { datacenter: dc1, meshGateway: { mode: "local" } });
new mesh.MeshGateway("gateway-primary", { datacenter: dc1 });
new mesh.MeshGateway("gateway-secondary", { datacenter: dc2 });

// In dc1: a service that sends back what it is sent.
const socat = new mesh.ServiceRegistration("socat", {
  datacenter: dc1,
  port: 8181,
  run: { command: "node", args: ["echo.mjs"], files: { "echo.mjs": script("echo.mjs") } },
  connect: { sidecarService: {} },
});

// In dc2: a service that finds socat at a local port of its own.
const web = new mesh.ServiceRegistration("web", {
  datacenter: dc2,
  port: 8080,
  run: { command: "node", args: ["web.mjs"], files: { "web.mjs": script("web.mjs") } },
  connect: {
    sidecarService: {
      proxy: { upstreams: [{ destinationName: socat.serviceName, datacenter: dc1, localBindPort: 8181 }] },
    },
  },
});

// Nobody may call anybody unless an intention says so.
new mesh.Intention("web-to-socat", { datacenter: dc1, source: web, destination: socat, action: "allow" });

export const trustDomain = dc1.trustDomain;
export const runtime = dc1.runtime;
