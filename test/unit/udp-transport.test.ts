import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { openTransport } from "../../src/net/udp-transport.ts";

test("an address that no datagram can go to is counted, and stops nothing", async (t) => {
  const arrived: string[] = [];
  const transport = await openTransport(
    {
      mode: "unicast",
      group: "239.255.83.67",
      port: 0,
      wellKnown: false,
      interface: { name: "lo", address: "127.0.0.1", loopback: true },
      ttl: 1,
      receiveBufferBytes: 65_536,
      faultDropRate: 0,
    },
    () => arrived.push("something"),
  );
  t.after(() => transport.close());
  transport.unicast("127.0.0.1:0", Buffer.from("nowhere"));
  assert.equal(transport.counters.sendErrors, 1);
  const receiver = createSocket("udp4");
  t.after(() => receiver.close());
  receiver.bind(0, "127.0.0.1");
  await once(receiver, "listening");
  transport.unicast(`127.0.0.1:${receiver.address().port}`, Buffer.from("somewhere"));
  const [bytes] = await once(receiver, "message");
  assert.equal(String(bytes), "somewhere");
});
