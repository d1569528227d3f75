import { strict as assert } from "node:assert";
import { test } from "node:test";
import { connect } from "../../src/client/connect.ts";
import { serveFake } from "../support/local-server.ts";
import { until } from "../support/until.ts";

const notKnownYet = () => {};
const timeoutMs = 60_000;

test("a request on a session that is not known yet waits, and others pass it", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  await client.create("known", { a: 1 });
  await client.create("late", { a: 2 });
  service.unknown.set("late", notKnownYet);
  const waiting = client.get<{ a: number }>("late");
  assert.equal((await client.get<{ a: number }>("known"))?.attributes.a, 1);
  await until(() => service.unknown.get("late") !== notKnownYet);
  const arrived = service.unknown.get("late");
  service.unknown.delete("late");
  arrived?.(true);
  assert.equal((await waiting)?.attributes.a, 2);
});

test("a session that nobody could tell about is an error, not an absence", async (t) => {
  const { path, service } = await serveFake(t);
  const client = await connect({ socket: path, timeoutMs });
  t.after(() => client.close());
  service.unknown.set("late", notKnownYet);
  const waiting = client.get("late");
  await until(() => service.unknown.get("late") !== notKnownYet);
  service.unknown.get("late")?.(false);
  await assert.rejects(waiting, { code: "SESSIONCAST_UNAVAILABLE" });
});
