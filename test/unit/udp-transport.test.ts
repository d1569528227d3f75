import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { openTransport, type TransportOptions } from "../../src/net/udp-transport.ts";

const onLoopback: TransportOptions = {
  mode: "unicast",
  group: "239.255.83.67",
  port: 0,
  wellKnown: false,
  interface: { name: "lo", address: "127.0.0.1", loopback: true },
  ttl: 1,
  receiveBufferBytes: 65_536,
  faultDropRate: 0,
};

test("an address that no datagram can go to is counted, and stops nothing", async (t) => {
  const transport = await openTransport(onLoopback, () => {});
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

test("of a narrow group only some hosts are heard, of a wide one all", async (t) => {
  const waiting: ((text: string) => void)[] = [];
  const options = { ...onLoopback, mode: "multicast", port: freePort() } as const;
  const transport = await openTransport(options, (bytes) => waiting.shift()?.(String(bytes)));
  t.after(() => transport.close());
  const heardOf = (...texts: string[]): Promise<string> => {
    const heard = new Promise<string>((resolve) => waiting.push(resolve));
    for (const text of texts) transport.multicast(Buffer.from(text));
    return heard;
  };
  assert.equal(await heardOf("everybody is heard"), "everybody is heard");
  assert(transport.narrow(new Set(["127.0.0.1", "127.0.0.9"])));
  assert.equal(await heardOf("this host is"), "this host is");
  assert(transport.narrow(new Set(["127.0.0.9"])));
  transport.multicast(Buffer.from("it is not"));
  transport.rejoin();
  transport.multicast(Buffer.from("nor now"));
  transport.widen();
  assert.equal(await heardOf("it is again"), "it is again");
  assert.equal(transport.counters.socketErrors, 0);
});

test("when the system takes no such list everybody is heard", async (t) => {
  const waiting: ((text: string) => void)[] = [];
  const options = { ...onLoopback, mode: "multicast", port: freePort() } as const;
  const transport = await openTransport(options, (bytes) => waiting.shift()?.(String(bytes)));
  t.after(() => transport.close());
  assert(transport.narrow(new Set(["127.0.0.9"])));
  const tooMany = Array.from({ length: 5_000 }, (_, index) => {
    return `10.0.${index >> 8}.${index % 256}`;
  });
  assert.equal(transport.narrow(new Set(tooMany)), false);
  assert.equal(transport.counters.socketErrors, 1);
  const heard = new Promise<string>((resolve) => waiting.push(resolve));
  transport.multicast(Buffer.from("this host is"));
  assert.equal(await heard, "this host is");
});

/** Test files run at the same time, each in a process of its own. */
function freePort(): number {
  return 20_000 + (process.pid % 10_000);
}
