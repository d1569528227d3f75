import { randomBytes } from "node:crypto";
import { Prng } from "../../src/base/prng.ts";
import { Gate } from "../../src/net/gate.ts";
import { DatagramCodec } from "../../src/wire/datagram-codec.ts";
import { clusterIdentity, Keyring, keyBytes } from "../../src/wire/keyring.ts";
import { median, withSpread } from "./measure.ts";

export interface RefusalResult {
  readonly kind: string;
  readonly perSecond: number;
}

const own = "0".repeat(24);
const peer = "1".repeat(24);

/** How many datagrams one core refuses in a second, by what gives them away. No sockets. */
export function benchRefusal(
  { repeats, datagrams }: { readonly repeats: number; readonly datagrams: number },
  print: (line: string) => void,
): RefusalResult[] {
  const secret = randomBytes(keyBytes);
  const ring = new Keyring({ identity: secret, use: randomBytes(keyBytes), open: [] });
  const cluster = clusterIdentity("bench", secret);
  let known = false;
  const receiver = {
    peers: {
      isReplayed: () => known,
      isOther: () => false,
      isStrayed: () => false,
      hasProven: () => true,
      overlookedMs: 0,
    },
    receive: () => {},
  };
  const gate = new Gate(new DatagramCodec(own, cluster, ring), receiver, new Prng(1));
  const sender = new DatagramCodec(peer, cluster, ring);
  const valid = sender.encode([{ tag: 5, sequence: 1, block: randomBytes(1_200) }], 4096);
  gate.take(valid, "peer:1", "multicast", { monotonicMs: 0, wallMs: 0 });
  const forged = Buffer.from(valid);
  forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
  const ahead = Buffer.from(valid);
  ahead.writeUIntBE(valid.readUIntBE(20, 6) + 1, 20, 6);
  const stranger = Buffer.from(valid);
  stranger.writeUInt16BE(valid.readUInt16BE(6) ^ 1, 6);
  const kinds: readonly (readonly [string, Buffer, boolean])[] = [
    ["random octets", randomBytes(1_200), false],
    ["another cluster", stranger, false],
    ["replayed", valid, true],
    ["forged header", ahead, false],
    ["forged content, true header", forged, false],
  ];
  return kinds.map(([kind, bytes, replayed]) => {
    known = replayed;
    const rates: number[] = [];
    for (let repeat = 0; repeat < repeats; repeat++) {
      const startMs = performance.now();
      for (let times = 0; times < datagrams; times++) {
        gate.take(bytes, "peer:1", "multicast", { monotonicMs: times, wallMs: 0 });
      }
      rates.push((datagrams / (performance.now() - startMs)) * 1_000);
    }
    print(`${kind.padEnd(30)}${withSpread(rates)} datagrams/s refused`);
    return { kind, perSecond: Math.round(median(rates)) };
  });
}
