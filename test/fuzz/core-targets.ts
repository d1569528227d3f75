import assert from "node:assert/strict";
import { Prng } from "../../src/base/prng.ts";
import { Peer } from "../../src/core/membership/peer.ts";
import { BlockAssembler, framed } from "../../src/core/reconcile/block-assembler.ts";
import { IncomingTransfer } from "../../src/core/reconcile/incoming-transfer.ts";
import { packStubs, readStubs } from "../../src/core/reconcile/stub-block.ts";
import type { Stub } from "../../src/core/store/stubs.ts";
import { Reassembly } from "../../src/core/stream/reassembly.ts";
import { Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { ByteReader } from "../../src/wire/byte-reader.ts";
import { type Features, type FuzzTarget, sized } from "./target.ts";

const stubs: readonly Stub[] = [0, 1, 0x7fff_ffff].map((number) => ({
  idHash: { high: number - 1, low: -number },
  fingerprint: { high: -number, low: number },
  endSlot: number,
  bytes: number,
  version: number,
}));

const stubBlock: FuzzTarget = {
  name: "stubs",
  about: "blocks of stubs: read as they are written, or refused",
  bytesMax: 1_024,
  executions: 20_000,
  corpus: () => [packStubs(stubs), packStubs(stubs.slice(1, 2))],
  run(input) {
    const read = readStubs(input);
    if (read === undefined) return ["refused"];
    assert.deepEqual(Buffer.from(packStubs(read)), input);
    for (const { endSlot, bytes, version } of read) {
      assert(Math.min(endSlot, bytes, version) >= 0, "columns hold no negative numbers");
    }
    return read.flatMap(({ endSlot, bytes, version }) => [
      sized("end", endSlot),
      sized("bytes", bytes),
      sized("version", version),
    ]);
  },
};

/** Fragments, each as: block u8, index u16, count u16, octets u8 and whether time passes after. */
function fragmentStep(block: number, index: number, count: number, octets: number): Buffer {
  const step = Buffer.alloc(7);
  step[0] = block;
  step.writeUInt16BE(index, 1);
  step.writeUInt16BE(count, 3);
  step[5] = octets;
  return step;
}

function trains(): Buffer[] {
  const train = (block: number, count: number) =>
    Array.from({ length: count }, (_, index) => fragmentStep(block, index, count, 3 + index));
  const many = Array.from({ length: 100 }, (_, block) => fragmentStep(block, 0, 2, 200));
  return [
    Buffer.concat(train(1, 2)),
    Buffer.concat([...train(1, 3).reverse(), ...train(2, 3)]),
    Buffer.concat([fragmentStep(1, 0, 3, 9), fragmentStep(1, 0, 2, 9), ...train(1, 2)]),
    Buffer.concat(many),
    Buffer.concat([fragmentStep(9, 0, 1024, 255), fragmentStep(9, 1023, 1024, 255)]),
  ];
}

const reassembly: FuzzTarget = {
  name: "reassembly",
  about: "fragments in any order, repeated and contradicting: whole blocks or none, bounded memory",
  bytesMax: 2_048,
  executions: 4_000,
  corpus: trains,
  run(input) {
    const features = new Set<string>();
    const whole = new Reassembly();
    const reader = new ByteReader(input);
    let nowMs = 0;
    let fed = 0;
    while (reader.remaining >= 7) {
      const [block, index, count] = [reader.u8(), reader.u16(), reader.u16()];
      const bytes = new Uint8Array(1 + (reader.u8() % 64)).fill(index & 255);
      nowMs += (reader.u8() % 4) * 900;
      // What the frame codec lets pass.
      if (count < 2 || count > limits.fragmentsPerMessageMax || index >= count) continue;
      const sequence = 1 + block * limits.fragmentsPerMessageMax + index;
      const made = whole.add({ tag: Tag.fragment, sequence, index, count, bytes }, nowMs);
      fed += bytes.length;
      if (made !== undefined) {
        assert(made.length >= count && made.length <= fed);
        assert.equal(made[0], 0);
        assert.equal(made.at(-1), (count - 1) & 255);
        features.add(sized("pieces", count));
      }
      if (block % 16 === 15) whole.sweep(nowMs);
      assert(whole.bytes >= 0 && whole.bytes <= Math.min(fed, limits.reassemblyBytesMax));
    }
    features.add(sized("dropped", whole.takeDropped())).add(sized("bytes", whole.bytes));
    whole.sweep(nowMs + limits.reassemblyMs);
    assert.equal(whole.bytes, 0, "what makes no progress is let go");
    return [...features];
  },
};

/** What a transfer is made of, without any of the cleverness of the assembler. */
function plainBlocks(stream: Uint8Array): string[] | undefined {
  const blocks: string[] = [];
  const reader = new ByteReader(stream);
  while (reader.remaining >= 5) {
    const kind = reader.u8();
    const length = reader.u32();
    if (kind > 1 || length === 0 || length > limits.transferBlockBytesMax) return undefined;
    if (reader.remaining < length) break;
    blocks.push(`${kind} ${reader.hex(length)}`);
  }
  return blocks;
}

function transferStreams(): Buffer[] {
  const records = framed({ kind: "records", bytes: new Uint8Array(40).fill(7) });
  const stubOctets = framed({ kind: "stubs", bytes: packStubs(stubs) });
  const large = framed({ kind: "records", bytes: new Uint8Array(15_000).fill(1) });
  const cuts = [Buffer.from([9]), Buffer.from([1]), Buffer.from([200])];
  return cuts.flatMap((cut) => [
    Buffer.concat([cut, records]),
    Buffer.concat([cut, records, stubOctets, records]),
    Buffer.concat([cut, large, records, large, large, records]),
  ]);
}

const transfer: FuzzTarget = {
  name: "transfer",
  about: "the octets of a transfer, cut anywhere: the blocks that they hold, whatever the cuts",
  bytesMax: 65_536,
  executions: 1_000,
  corpus: transferStreams,
  run(input) {
    const [cut = 0] = input;
    const stream = input.subarray(1);
    const assembler = new BlockAssembler();
    const taken: string[] = [];
    let isBroken = false;
    const prng = new Prng(cut);
    for (let at = 0; at < stream.length && !isBroken; ) {
      const piece = stream.subarray(at, at + 1 + prng.below(Math.max(1, cut * 8)));
      at += piece.length;
      assembler.feed(piece);
      const blocks = assembler.take();
      isBroken = blocks === undefined;
      for (const { kind, bytes } of blocks ?? []) {
        taken.push(`${kind === "records" ? 0 : 1} ${Buffer.from(bytes).toString("hex")}`);
      }
    }
    const expected = plainBlocks(stream);
    assert.equal(isBroken, expected === undefined);
    if (expected !== undefined) assert.deepEqual(taken, expected);
    return [isBroken ? "broken" : "whole", sized("blocks", taken.length), `${assembler.empty}`];
  },
};

/** Chunks, each as: index u16, flags u8 (1: the last), octets u8 and the octets. */
function chunkStep(index: number, isLast: boolean, octets: Uint8Array): Buffer {
  const head = Buffer.from([index >> 8, index & 255, isLast ? 1 : 0, octets.length]);
  return Buffer.concat([head, octets]);
}

function chunkStreams(): Buffer[] {
  const [, stream = Buffer.alloc(0)] = transferStreams();
  const steps: Buffer[] = [];
  for (let at = 1; at < stream.length; at += 16) {
    const isLast = at + 16 >= stream.length;
    steps.push(chunkStep(steps.length, isLast, stream.subarray(at, at + 16)));
  }
  const ahead = [63, 64, 1, 0].map((index) => chunkStep(index, index === 63, Buffer.from([0, 0])));
  return [Buffer.concat(steps), Buffer.concat(steps.toReversed()), Buffer.concat(ahead)];
}

function runChunks(input: Buffer): Features {
  const features = new Set<string>();
  const peer = new Peer("0".repeat(24), "peer:1", 0, new Prng(1));
  const incoming = new IncomingTransfer(1, peer, [{ level: 0, prefix: 0 }], 0);
  const reader = new ByteReader(input);
  let fed = 0;
  while (reader.remaining >= 4) {
    const [index, flags, length] = [reader.u16(), reader.u8(), reader.u8()];
    const bytes = reader.view(Math.min(length, reader.remaining));
    fed += bytes.length;
    const isLast = (flags & 1) === 1;
    const progress = incoming.add({ tag: Tag.chunk, transfer: 1, index, last: isLast, bytes }, 1);
    features.add(progress.state);
    if (progress.state === "broken" || progress.state === "done") break;
    const blocks = progress.state === "surplus" ? [] : progress.blocks;
    const octets = blocks.reduce((sum, block) => sum + block.bytes.length, 0);
    assert(octets <= fed, "blocks are made of what came");
    const { next, missing } = incoming.credit(1, limits.transferWindowChunks);
    assert(missing.length < limits.transferWindowChunks);
    for (const each of missing) assert(each >= next && each - next <= 0xffff);
    features.add(sized("missing", missing.length)).add(sized("blocks", blocks.length));
  }
  return [...features];
}

const chunks: FuzzTarget = {
  name: "chunks",
  about: "chunks of a transfer in any order: asks only for what the window has, ends or goes on",
  bytesMax: 2_048,
  executions: 10_000,
  corpus: chunkStreams,
  run: runChunks,
};

export const coreTargets: readonly FuzzTarget[] = [stubBlock, reassembly, transfer, chunks];
