import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pack } from "msgpackr";
import { serveFake } from "../support/local-server.ts";
import { frameOf, frameOfBytes, helloFrame, RawClient } from "../support/raw-client.ts";

const chunk = fc.oneof(
  fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  fc.uint8Array({ maxLength: 100 }).map((bytes) => frameOfBytes(bytes)),
  fc
    .array(
      fc.oneof(
        fc.nat({ max: 15 }),
        fc.string(),
        fc.uint8Array(),
        fc.dictionary(fc.string(), fc.nat()),
      ),
      { maxLength: 6 },
    )
    .map((message) => frameOf(message)),
  fc
    .tuple(fc.nat({ max: 12 }), fc.array(fc.constantFrom<unknown>(null, 1, "s", {}, [], -1, 0.5)))
    .map(([verb, rest]) => frameOfBytes(pack([7, verb, ...rest]))),
);

test("whatever a client sends, the server lives on and serves the others", async (t) => {
  const { path, server } = await serveFake(t);
  const neighbour = await RawClient.greet(t, path);
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(chunk, { maxLength: 8 }), async (greets, chunks) => {
      const client = await RawClient.connect(t, path);
      if (greets) client.send(helloFrame);
      for (const bytes of chunks) client.send(bytes);
      client.socket.end();
      await client.closed;
      assert.deepEqual(await neighbour.ask([2, 11]), [2, 0, null]);
    }),
    { numRuns: 150 },
  );
  assert.ok(server.counters.refusals.malformedFrame > 0);
});
