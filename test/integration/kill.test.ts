/** kill -9 of control planes at random moments while clients write: what was acknowledged is there, and nothing else is made up. */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { ControlPlane, Federation } from "../support/control-planes.ts";
import { startFederation } from "../support/control-planes.ts";
import type { HttpApi } from "../support/http-api.ts";
import { eventually } from "../support/wait.ts";

const rounds = 10;

/** Something that is written again and again, each time with the next number. */
interface Writer {
  readonly name: string;
  write(sequence: number): Promise<unknown>;
  /** The number that is stored; 0 when nothing is. */
  stored(): Promise<number>;
  /** Newest number that was acknowledged, and newest that was sent. */
  acknowledged: number;
  sent: number;
}

const number = (value: unknown): number => Number(value ?? 0);

function writers(federation: Federation): readonly Writer[] {
  const { dc1, dc2 } = federation;
  const entry = (name: string, through: HttpApi): Writer => ({
    name,
    write: (sequence) =>
      through.put("/v1/config", { Kind: "service-defaults", Name: name, Meta: { sequence: String(sequence) } }),
    stored: async () => number((await dc1.api.call("GET", `/v1/config/service-defaults/${name}`)).json?.Meta.sequence),
    acknowledged: 0,
    sent: 0,
  });
  const service = (name: string, at: ControlPlane): Writer => ({
    name,
    write: (sequence) =>
      at.api.put("/v1/agent/service/register", { Name: name, Port: 80, Meta: { sequence: String(sequence) } }),
    stored: async () => number((await at.api.call("GET", `/v1/agent/service/${name}`)).json?.Meta.sequence),
    acknowledged: 0,
    sent: 0,
  });
  return [
    entry("in-dc1", dc1.api),
    entry("through-dc2", dc2.api),
    service("service-in-dc1", dc1),
    service("service-in-dc2", dc2),
  ];
}

describe("kill -9", { timeout: 180_000 }, () => {
  let federation: Federation;
  before(async () => {
    federation = await startFederation();
  });
  after(async () => {
    await federation?.[Symbol.asyncDispose]();
  });

  test(`no acknowledged write is lost in ${rounds} kills at random moments`, async () => {
    const { dc1, dc2 } = federation;
    const all = writers(federation);
    let total = 0;
    for (let round = 0; round < rounds; round += 1) {
      const victim = round % 2 === 0 ? dc1 : dc2;
      let stop = false;
      const work = all.map(async (writer) => {
        while (!stop) {
          writer.sent += 1;
          const { sent } = writer;
          await writer.write(sent).then(
            () => {
              writer.acknowledged = sent;
              total += 1;
            },
            // Nobody knows what became of it; the next one goes on from there.
            () => delay(5),
          );
        }
      });
      await delay(randomInt(30, 400));
      await victim.kill();
      stop = true;
      await Promise.all(work);
      await victim.start();
      for (const writer of all) {
        const stored = await writer.stored();
        assert.ok(
          stored >= writer.acknowledged && stored <= writer.sent,
          `round ${round}, ${victim.config.datacenter} killed: ${writer.name} has ${stored}, acknowledged ${writer.acknowledged}, sent ${writer.sent}`,
        );
      }
      await eventually("the link is up", async () => (await dc2.status()).Replication?.Connected);
      for (const name of ["in-dc1", "through-dc2"]) {
        const path = `/v1/config/service-defaults/${name}`;
        await eventually(`dc2 has the same ${name} as dc1`, async () => {
          const [first, second] = await Promise.all([dc1.api.get(path), dc2.api.get(path)]);
          return first.Meta.sequence === second.Meta.sequence;
        });
      }
    }
    console.log(`${total} acknowledged writes over ${rounds} kills, none lost`);
    assert.ok(total > rounds * 10, `only ${total} writes: too few to mean something`);
  });
});
