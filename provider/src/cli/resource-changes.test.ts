/** How a run's changes are told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { changesFromEvents, describeChanges } from "./resource-changes.ts";

test("a run without changes says so and has no count of changed resources", () => {
  for (const changes of [{ same: 9 }, { same: 9, create: 0 }, {}]) {
    const line = describeChanges(changes);
    assert.match(line, /^no changes/);
    assert.doesNotMatch(line, /[0-9]+ (created|updated|replaced|deleted)/);
  }
  assert.equal(describeChanges({ create: 2, update: 1, same: 3 }), "changed: 2 create, 1 update");
});

test("the counts come from the engine's last summary", () => {
  const log = [
    '{"sequence":0,"preludeEvent":{"config":{}}}',
    '{"sequence":8,"summaryEvent":{"resourceChanges":{"create":3}}}',
    '{"sequence":9,"cancelEvent":{}}',
    "",
  ].join("\n");
  assert.deepEqual(changesFromEvents(log), { create: 3 });
  assert.deepEqual(changesFromEvents(""), {});
});
