/** Programs that cannot work, one a case; the case is named by BAD. */
import * as mesh from "@isthmus/sdk";

const idle = { command: "node", args: ["-e", "setInterval(() => {}, 1e9)"] };

const two = () => {
  const dc1 = new mesh.Datacenter("dc1", { primary: true });
  return { dc1, dc2: new mesh.Datacenter("dc2", { primary: dc1 }) };
};

const cases: Readonly<Record<string, () => void>> = {
  "unknown property": () => {
    new mesh.Datacenter("dc1", { primary: true, regoin: "eu" } as never);
  },
  "wrong type": () => {
    const { dc1 } = two();
    new mesh.ServiceRegistration("web", { datacenter: dc1, port: "eighty" as never, run: idle });
  },
  "duplicate datacenter": () => {
    const dc1 = new mesh.Datacenter("dc1", { primary: true });
    new mesh.Datacenter("again", { name: "dc1", primary: dc1 });
  },
  "duplicate service": () => {
    const { dc1 } = two();
    new mesh.ServiceRegistration("web", { datacenter: dc1, port: 80, run: idle });
    new mesh.ServiceRegistration("web-again", { datacenter: dc1, name: "web", port: 80, run: idle });
  },
  "port out of range": () => {
    const { dc1 } = two();
    new mesh.ServiceRegistration("web", { datacenter: dc1, port: 70_000, run: idle });
  },
  "one local port twice": () => {
    const { dc1 } = two();
    const upstreams = [
      { destinationName: "a", localBindPort: 5000 },
      { destinationName: "b", localBindPort: 5000 },
    ];
    new mesh.ServiceRegistration("web", {
      datacenter: dc1,
      port: 80,
      run: idle,
      connect: { sidecarService: { proxy: { upstreams } } },
    });
  },
  "gateway in an unknown datacenter": () => {
    two();
    new mesh.MeshGateway("gateway", { datacenter: "dc9" });
  },
  "two primaries": () => {
    new mesh.Datacenter("dc1", { primary: true });
    new mesh.Datacenter("dc2", { primary: true });
  },
  "mode local without a gateway": () => {
    const { dc1, dc2 } = two();
    new mesh.ProxyDefaults("global", { datacenter: dc1, meshGateway: { mode: "local" } });
    new mesh.ServiceRegistration("db", { datacenter: dc1, port: 80, run: idle, connect: { sidecarService: {} } });
    const upstreams = [{ destinationName: "db", datacenter: dc1, localBindPort: 5000 }];
    new mesh.ServiceRegistration("web", {
      datacenter: dc2,
      port: 80,
      run: idle,
      connect: { sidecarService: { proxy: { upstreams } } },
    });
  },
  "intention on itself": () => {
    const { dc1 } = two();
    new mesh.Intention("self", { datacenter: dc1, source: "web", destination: "web", action: "allow" });
  },
};

const chosen = cases[process.env["BAD"] ?? ""];
if (!chosen) throw new Error(`no case "${process.env["BAD"]}"`);
chosen();
