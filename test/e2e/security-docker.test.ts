/** Security of the federation as containers; needs a Docker engine. Nothing hostile is sent here: a handful of connections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectEngine, type Engine } from "../../provider/src/runtime/docker/engine.ts";
import { label, labelFilter } from "../../provider/src/runtime/docker/labels.ts";
import { findRuntimes } from "../../provider/src/runtime/open.ts";
import { findSecrets } from "../support/secrets.ts";
import { say } from "../support/traffic.ts";
import { type Besieged, securitySuite } from "./security-suite.ts";

const found = (await findRuntimes()).some((runtime) => runtime.kind === "docker");
if (found) securitySuite("docker", containersAreShut);
else
  test("security in the docker runtime", { skip: !process.env["CI"] && "no Docker engine answers" }, () =>
    assert.fail("no Docker engine answers"),
  );

async function inspectAll(engine: Engine, mesh: string) {
  const filters = labelFilter({ [label.mesh]: mesh });
  const containers = await engine.listContainers({ all: true, filters });
  return await Promise.all(containers.map(({ Id }) => engine.getContainer(Id).inspect()));
}

function containersAreShut(besieged: () => Besieged): void {
  const engine = connectEngine(process.env);
  const web = () => besieged().unit("dc2", "service", "web");
  const socat = () => besieged().unit("dc1", "service", "socat");
  const banner = () => besieged().unit("dc1", "service", "banner");

  test("no secret in what the engine tells: containers, volumes, networks, images and events", async () => {
    const { project, secrets } = besieged();
    const filters = labelFilter({ [label.mesh]: project.mesh });
    const containers = await inspectAll(engine, project.mesh);
    const { Volumes: volumes } = await engine.listVolumes({ filters: JSON.stringify(filters) });
    const networks = await engine.listNetworks({ filters });
    const histories = [...new Set(containers.map(({ Image }) => Image))].map((id) => engine.getImage(id).history());
    const until = Math.floor(Date.now() / 1000);
    let events = "";
    for await (const chunk of await engine.getEvents({ since: until - 300, until })) events += chunk;
    assert.ok(containers.length > 10 && volumes.length === 7 && networks.length === 3 && events.includes("exec_start"));
    for (const told of [containers, volumes, networks, await Promise.all(histories), events]) {
      assert.deepEqual(findSecrets(secrets, JSON.stringify(told)), []);
    }
  });

  test("every container is without root, capabilities, a way to write and a way to the engine", async () => {
    for (const {
      Name: name,
      Config: config,
      HostConfig: host,
      NetworkSettings: net,
      Mounts: mounts,
    } of await inspectAll(engine, besieged().project.mesh)) {
      assert.match(config.User, /^[1-9][0-9]*:[1-9][0-9]*$/, name);
      assert.deepEqual(host.CapDrop, ["ALL"], name);
      assert.deepEqual(host.CapAdd ?? [], [], name);
      assert.deepEqual(host.SecurityOpt, ["no-new-privileges"], name);
      assert.equal(host.Privileged, false, name);
      assert.equal(host.ReadonlyRootfs, true, name);
      assert.ok((host.PidsLimit ?? 0) > 0 && (host.PidsLimit ?? 0) <= 256, name);
      assert.ok((host.Memory ?? 0) > 0 && (host.Memory ?? 0) <= 1024 ** 3, name);
      assert.equal(host.PublishAllPorts, false, name);
      assert.deepEqual(Object.entries(host.PortBindings ?? {}), [], name);
      assert.deepEqual(Object.values(net.Ports ?? {}).filter(Boolean), [], name);
      assert.deepEqual([host.PidMode, host.UTSMode, host.UsernsMode], ["", "", ""], name);
      assert.notEqual(host.IpcMode, "host", name);
      assert.match(host.NetworkMode ?? "", /^(container:|isthmus-)/, name);
      assert.ok(mounts.length <= 1 && mounts.every(({ Type }) => Type === "volume"), name);
      assert.deepEqual(host.Binds ?? [], [], name);
      assert.doesNotMatch(JSON.stringify([host, mounts]), /docker\.sock/, name);
    }
  });

  test("the datacenters' networks cannot reach each other, nor a service the WAN", async () => {
    const { runtime, reach, unit } = besieged();
    const lanOf = async (id: ReturnType<typeof web>) => (await runtime.inspect(id))!.placement;
    const there = await lanOf(socat());
    const gateway = await lanOf(unit("dc1", "mesh-gateway", "gateway-primary"));
    const plane = await lanOf(unit("dc1", "control-plane", "dc1"));
    const places: [string, number][] = [
      [there.lan, 20_000],
      [there.lan, 8_181],
      [gateway.lan, 8_443],
      [gateway.wan!, 8_443],
      [plane.lan, 8_501],
      [plane.wan!, 8_300],
    ];
    await Promise.all(
      places.map(([host, port]) => assert.rejects(reach(web(), host, port), `web reaches ${host}:${port} in dc1`)),
    );
    const own = (await reach(banner(), there.lan, 20_000)).destroy();
    assert.ok(own, "a neighbour reaches the sidecar");
  });

  test("a neighbour that dials the app past its sidecar gets nowhere", async () => {
    const { runtime, reach } = besieged();
    const { lan } = (await runtime.inspect(socat()))!.placement;
    await assert.rejects(reach(banner(), lan, 8_181), /ECONNREFUSED/);
    await assert.rejects(reach(banner(), "127.0.0.1", 8_181), /ECONNREFUSED/);
    assert.equal((await say(runtime, web(), 8_181, "the right way")).text, "the right way\n");
  });
}
