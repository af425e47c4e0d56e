/** What the compiler refuses. Nothing here runs: each function only has to be compiled. */
import { test } from "node:test";
import { AclToken } from "./acl-token.ts";
import { Datacenter } from "./datacenter.ts";
import { Intention } from "./intention.ts";
import { MeshGateway } from "./mesh-gateway.ts";
import { ProxyDefaults } from "./proxy-defaults.ts";
import { ServiceRegistration } from "./service-registration.ts";

test("types are checked by the compiler", () => {
  void compiled;
});

function compiled(): void {
  const dc1 = new Datacenter("dc1", { primary: true });
  const dc2 = new Datacenter("dc2", { primary: dc1 });
  const named = new Datacenter("second", { name: "dc3", primaryDatacenter: "dc1" });
  const name: "dc1" = dc1.datacenterName;
  const other: "dc3" = named.datacenterName;
  new Datacenter("dc4", { primary: dc1, primaryDatacenter: "dc1" });
  // @ts-expect-error the two do not agree
  new Datacenter("dc4", { primary: dc1, primaryDatacenter: "dc2" });
  // @ts-expect-error a datacenter is primary or says which one is
  new Datacenter("dc4", {});
  // @ts-expect-error no such property
  new Datacenter("dc4", { primary: true, prots: {} });

  new ProxyDefaults("global", { datacenter: dc1, meshGateway: { mode: "local" } });
  // @ts-expect-error no such mode
  new ProxyDefaults("global", { datacenter: dc1, meshGateway: { mode: "loca" } });
  // @ts-expect-error the tutorial's form is not the schema's
  new ProxyDefaults("global", { datacenter: dc1, meshGateway: "local" });

  type Known = "dc1" | "dc2";
  const gateway = new MeshGateway<Known>("gateway", { datacenter: dc2 });
  // @ts-expect-error not a datacenter of this program
  new MeshGateway<Known>("gateway", { datacenter: "dc3" });
  // @ts-expect-error not a datacenter of this program
  new MeshGateway<Known>("gateway", { datacenter: named });
  // @ts-expect-error a gateway is no datacenter
  new MeshGateway("gateway", { datacenter: gateway });

  const socat = new ServiceRegistration("socat", { datacenter: dc1, port: 8181, connect: { sidecarService: {} } });
  const web = new ServiceRegistration<Known, Known>("web", {
    datacenter: "dc2",
    port: 8080,
    connect: {
      sidecarService: { proxy: { upstreams: [{ destinationName: socat, datacenter: dc1, localBindPort: 8181 }] } },
    },
  });
  new ServiceRegistration<Known, Known>("web", {
    datacenter: "dc2",
    port: 8080,
    connect: {
      sidecarService: {
        proxy: {
          upstreams: [
            {
              destinationName: "x",
              // @ts-expect-error not a datacenter of this program
              datacenter: "dc9",
              localBindPort: 1,
            },
          ],
        },
      },
    },
  });
  // @ts-expect-error a command or an image
  new ServiceRegistration("web", { datacenter: dc2, port: 8080, run: { command: "node", image: "node" } });

  new Intention("i", { datacenter: dc1, source: web, destination: socat, action: "allow" });
  // @ts-expect-error no such action
  new Intention("i", { datacenter: dc1, source: web, destination: socat, action: "permit" });
  // @ts-expect-error a datacenter is no service
  new Intention("i", { datacenter: dc1, source: dc1, destination: socat, action: "allow" });

  const token = new AclToken("t", { datacenter: dc2, serviceIdentities: [{ serviceName: web }] });
  new ServiceRegistration("db", { datacenter: dc2, port: 1, token: token.secretId });
  void [name, other];
}
