/**
 * A whole replica that is told whatever peers may say, in whatever order, while its own clients go
 * on using it. An input is a script; see `Script.play`.
 */
import assert from "node:assert/strict";
import { framed } from "../../src/core/reconcile/block-assembler.ts";
import { packStubs } from "../../src/core/reconcile/stub-block.ts";
import { type Frame, Tag } from "../../src/protocol/frames.ts";
import { framesBytesMax, limits } from "../../src/protocol/limits.ts";
import type { SessionDelta } from "../../src/session/record.ts";
import { ByteReader } from "../../src/wire/byte-reader.ts";
import { readFrames } from "../../src/wire/frame-codec.ts";
import { frameLists } from "../support/frame-arbitraries.ts";
import { readVectors } from "../support/golden-form.ts";
import { blockOf, created, LoneReplica, peerHeartbeat } from "../support/lone-replica.ts";
import { deltas, everything } from "../support/session-arbitraries.ts";
import { breedSections, joinSections, splitSections } from "./sections.ts";
import { counted, type Features, type FuzzTarget, sized } from "./target.ts";
import {
  breedFrames,
  codec,
  encodedFrames,
  fromHex,
  goldenDatagrams,
  sampled,
  thatFit,
} from "./wire-targets.ts";

const bounds = { bytesMax: 1 << 22, countMax: 12, tombstonesMax: 8, stubsMax: 16 };
const boots = ["00000000aaaa000000000002", "00000000bbbb000000000003", "00000000aaaa000000000009"];
const ids = ["s-1", "s-2", "__proto__", "constructor", "0123456789abcdef", "x".repeat(255)];
const stepsMax = 64;
const idOf = (octet: number) => ids[octet % ids.length] ?? "";
const value = "v".repeat(40);

const Step = { frames: 0, datagram: 1, time: 2, command: 3, known: 4 } as const;
const stepKinds = 5;

/** Frames, as from this peer: 0 to 2. */
function said(peer: number, ...frames: Frame[]): Buffer {
  return step(Step.frames + stepKinds * peer, encodedFrames(frames));
}

function step(kind: number, body: Uint8Array): Buffer {
  return joinSections([{ kind, body }]);
}

const passed = (ms: number) => step(Step.time, Buffer.from([ms >> 8, ms & 255]));
const command = (verb: number, id: number) => step(Step.command, Buffer.from([verb, id, 7]));

class Script {
  readonly #lone = new LoneReplica({ ...bounds, tombstoneRetentionMs: 5_000 });
  readonly #features = new Set<string>();
  #sent = 0;

  /** Steps of an octet that says what (and by whom), a u16 length and so much more. */
  play(input: Buffer): Features {
    const lone = this.#lone;
    lone.settle();
    for (const boot of boots.slice(0, 2)) this.#introduce(boot);
    let steps = 0;
    for (const { kind, body } of splitSections(input).slice(0, stepsMax)) {
      steps += 1;
      this.#step(kind, Buffer.from(body));
      this.#check(steps);
    }
    lone.pass(4_000);
    this.#check(steps + 100);
    const { counters } = lone.replica;
    this.#features.add(sized("steps", steps)).add(lone.replica.phase);
    return [...this.#features, ...counted(counters), ...counted(lone.replica.buffers)];
  }

  #introduce(boot: string): void {
    const name = `peer-${boot.slice(-1)}`;
    this.#lone.receiveFrom(boot, `${name}:1`, "unicast", peerHeartbeat({ name, sequence: 1 }));
  }

  #step(octet: number, body: Buffer): void {
    const kind = octet % stepKinds;
    const peer = Math.floor(octet / stepKinds);
    if (kind === Step.frames) this.#receive(peer, readFrames(new ByteReader(body)));
    else if (kind === Step.datagram) {
      const opened = codec.decode(body, 0);
      if (!opened.ok) return;
      this.#lone.replica.receive(opened.datagram, "peer-d:1", this.#lone.now, "multicast");
    } else if (kind === Step.time)
      this.#lone.pass((body.length > 1 ? body.readUInt16BE() : 1) % 9_000);
    else if (kind === Step.known) this.#introduce(boots[peer % boots.length] ?? "");
    else if (body.length > 1) this.#command(body);
    if (octet & 64) this.#lone.tick();
  }

  #receive(number: number, frames: readonly Frame[] | undefined): void {
    if (frames === undefined) return;
    const lone = this.#lone;
    const boot = boots[number % boots.length] ?? "";
    const via = number % 2 === 0 ? "unicast" : "multicast";
    const datagram = { boot, counter: lone.nextCounter(), tail: 0, clock: lone.peerTime, frames };
    lone.replica.receive(datagram, `peer-${boot.slice(-1)}:1`, lone.now, via);
    for (const { tag } of frames) this.#features.add(`frame ${tag}`);
  }

  #command(body: Buffer): void {
    const { replica, now } = this.#lone;
    const [verb = 0, first = 0, second = 0] = body;
    const id = idOf(first);
    const lifetime = { idleMs: undefined, absoluteMs: undefined };
    const attributes = [{ name: "a", value }];
    const commands = [
      () => replica.create(id, attributes, lifetime, now),
      () => replica.set(id, attributes, { idleMs: second * 1_000, absoluteMs: 0 }, now),
      () => replica.patch(id, attributes, ["b", "__proto__"], now),
      () => replica.touch(id, undefined, now),
      () => replica.destroy(id, now),
      () => replica.rotate(id, idOf(second), now),
      () => replica.list({ prefix: "", owner: undefined, limit: 5, cursor: "" }, now),
      () => replica.destroyAll("owner", undefined, now),
      () => replica.fetch(id, undefined, now),
      () => replica.confirm(id, { peers: 1, timeoutMs: 100 }, now),
      () => replica.get(id, now),
    ];
    commands[verb % commands.length]?.();
  }

  /** What is kept stays within its bounds, and what is sent can be sent. */
  #check(steps: number): void {
    const { replica, outbox } = this.#lone;
    const { store, buffers } = replica;
    const peers = [...replica.peers.all()];
    assert(peers.length <= limits.peersMax);
    for (const { incoming, reassembly } of peers) {
      assert(incoming.missingCount <= limits.gapAheadMax);
      assert(reassembly.bytes <= limits.reassemblyBytesMax);
    }
    assert(store.bytes <= bounds.bytesMax && store.live.size <= bounds.countMax);
    assert(store.tombstoneCount <= bounds.tombstonesMax && store.stubs.size <= bounds.stubsMax);
    assert((buffers.outgoingTransfers ?? 0) <= limits.transferOutgoingMax);
    assert((buffers.fetches ?? 0) <= limits.fetchesMax);
    assert((buffers.absences ?? 0) <= limits.absencesMax);
    for (const { frames } of outbox.takeSent()) {
      this.#sent += 1;
      assert(encodedFrames(frames).length <= framesBytesMax, "what is sent fits a datagram");
      assert(codec.decode(codec.encode(frames, replica.clockTime), 0).ok, "and peers can read it");
    }
    assert(this.#sent <= 2_000 * (steps + 1), "a peer cannot have a node send without end");
    outbox.takeEvents();
  }
}

/** Frames that a real transfer consists of: the id that the replica draws is always the same. */
function transferOf(lone: LoneReplica): Buffer[] {
  lone.receive({ tag: Tag.offer, ranges: [{ level: 0, prefix: 0 }] });
  lone.pass(100);
  const [want] = lone.outbox.framesOf(Tag.want);
  const transfer = want?.transfer ?? 0;
  const records = blockOf([created("s-1", lone.peerTime), created("s-2", lone.peerTime)]);
  const stub = packStubs([
    {
      idHash: { high: 1, low: 2 },
      fingerprint: { high: 3, low: 4 },
      endSlot: 0,
      bytes: 100,
      version: 1,
    },
  ]);
  const stream = Buffer.concat([
    framed({ kind: "records", bytes: records }),
    framed({ kind: "stubs", bytes: stub }),
  ]);
  const offer = said(0, { tag: Tag.offer, ranges: [{ level: 0, prefix: 0 }] });
  const chunks = [0, 1].map((index) =>
    said(0, {
      tag: Tag.chunk,
      transfer,
      index,
      last: index === 1,
      bytes: stream.subarray(index * 60, index === 0 ? 60 : stream.length),
    }),
  );
  return [offer, passed(100), ...chunks];
}

function ready(): LoneReplica {
  const lone = new LoneReplica({ ...bounds, tombstoneRetentionMs: 5_000 });
  lone.settle();
  for (const boot of boots.slice(0, 2)) {
    const name = `peer-${boot.slice(-1)}`;
    lone.receiveFrom(boot, `${name}:1`, "unicast", peerHeartbeat({ name, sequence: 1 }));
  }
  lone.outbox.takeSent();
  return lone;
}

/** All that a block can say of a session that is used here, written a moment ago. */
function extremes(time: number): SessionDelta[] {
  const stamp = { time, tag: 2 };
  return sampled(deltas(everything), 40).map(({ life, expiry, attributes, floor }) => ({
    id: "s-1",
    life: { absoluteDeadlineMs: 0, ...life, alive: true, stamp },
    floor: floor && stamp,
    expiry: { idleMs: 0, idleDeadlineMs: 0, ...expiry, stamp },
    attributes: attributes.map((attribute) => ({ ...attribute, stamp })),
  }));
}

function corpus(): Buffer[] {
  const lone = ready();
  const block = blockOf([created("s-1", lone.peerTime), created("__proto__", lone.peerTime)]);
  const delta = (sequence: number) => said(0, { tag: Tag.delta, sequence, block });
  const golden = fromHex(readVectors().blocks).map((each, index) =>
    said(index % 3, { tag: Tag.delta, sequence: 2 + index, block: each }),
  );
  const pieces = [0, 1].map((index) =>
    said(1, {
      tag: Tag.fragment,
      sequence: 2 + index,
      index,
      count: 2,
      bytes: block.subarray(index * 20, index === 0 ? 20 : block.length),
    }),
  );
  const used = [3, 2, 5, 10, 4].map((verb) => command(verb, 0));
  const creates = [0, 1, 2, 3, 4].map((id) => command(0, id));
  return [
    Buffer.concat([delta(2), ...used, passed(100)]),
    Buffer.concat([...golden, ...used, passed(2_000)]),
    Buffer.concat([delta(2), delta(200), passed(5), delta(3), passed(3_000)]),
    Buffer.concat([...pieces, command(3, 0)]),
    Buffer.concat([...creates, command(8, 1), command(9, 0), passed(600), ...used]),
    Buffer.concat([
      ...creates,
      ...Array.from({ length: 12 }, (_, transfer) =>
        said(transfer % 2, { tag: Tag.want, transfer, ranges: [{ level: 0, prefix: 0 }] }),
      ),
    ]),
    Buffer.concat([...transferOf(lone), passed(400), command(3, 0), command(3, 1)]),
    ...extremes(lone.peerTime).map((each) =>
      Buffer.concat([
        said(0, { tag: Tag.delta, sequence: 2, block: blockOf([each]) }),
        ...used,
        ...creates,
        passed(3_000),
      ]),
    ),
    ...goldenDatagrams().map((datagram) =>
      Buffer.concat([...creates, step(Step.datagram, datagram)]),
    ),
    ...sampled(frameLists(4).map(thatFit), 80)
      .filter((list) => list.length > 0)
      .map((list, index) => Buffer.concat([said(index % 3, ...list), ...used, passed(700)])),
  ];
}

const replica: FuzzTarget = {
  name: "replica",
  about: "a node that is told anything by peers: it lives, within its bounds, and stays readable",
  bytesMax: 8_192,
  executions: 100,
  corpus,
  breed(input, other, prng, anyhow) {
    const inFrames = breedFrames(anyhow);
    return breedSections(input, other, prng, (kind) =>
      kind % stepKinds === Step.frames ? inFrames : anyhow,
    );
  },
  run: (input) => new Script().play(input),
};

export const replicaTargets: readonly FuzzTarget[] = [replica];
