import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { type TestContext, test } from "node:test";
import { Baseline } from "../../src/adapters/baseline.ts";
import { partsOf } from "../../src/adapters/parts.ts";
import { SessionEngine } from "../../src/adapters/session-engine.ts";
import { serveFake } from "../support/local-server.ts";

const idleMs = 60_000;

async function openEngine(t: TestContext) {
  const { path, service } = await serveFake(t);
  const engine = new SessionEngine({ socket: path }, new EventEmitter());
  t.after(() => engine.close());
  const begun = () => new Baseline("s", "absent");
  const save = (baseline: Baseline, session: object) =>
    engine.save(baseline, partsOf(session), idleMs);
  const stored = async () => (await engine.client.get("s"))?.attributes;
  return { engine, service, begun, save, stored };
}

test("of saves that nobody awaits the last counts, also if the id was taken", async (t) => {
  const { engine, begun, save, stored } = await openEngine(t);
  await engine.client.create("s", { of: "somebody else" });
  const mine = begun();
  await Promise.all([save(mine, { a: 1 }), save(mine, { a: 2, b: 1 }), save(mine, { a: 3, b: 1 })]);
  assert.deepEqual(await stored(), { a: 3, b: 1 });
});

test("of two requests that begin a session under one id, each later save counts", async (t) => {
  const { begun, save, stored } = await openEngine(t);
  const [one, two] = [begun(), begun()];
  await Promise.all([save(one, { a: 1 }), save(two, { b: 1 }), save(one, { a: 2 })]);
  assert.deepEqual(await stored(), { b: 1, a: 2 });
});

test("what was destroyed after it was saved is gone, however long that takes", async (t) => {
  const { engine, begun, save, stored } = await openEngine(t);
  await Promise.all([save(begun(), { a: 1 }), save(begun(), { a: 2 }), engine.destroy("s")]);
  assert.equal(await stored(), undefined);
});

test("a save that could not be done leaves the next to do it", async (t) => {
  const { begun, save, stored } = await openEngine(t);
  const mine = begun();
  const tooLarge = save(mine, { a: "x".repeat(1_100_000) });
  const next = save(mine, { a: 1 });
  await assert.rejects(tooLarge, { code: "SESSIONCAST_TOO_LARGE" });
  await next;
  assert.deepEqual(await stored(), { a: 1 });
});
