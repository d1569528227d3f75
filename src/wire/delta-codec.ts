import type { DeltaCodec, DeltaPacker } from "../protocol/delta-codec.ts";
import type { Attribute, Expiry, Life, SessionDelta } from "../session/record.ts";
import { compareStamps, type Stamp, zeroStamp } from "../session/stamp.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";

/**
 * Packs deltas by hand, because they are nearly all of the traffic: an update of one 100-byte
 * attribute costs about 145 octets with a 32-character session id, a good third less than a
 * self-describing format. PROTOCOL.md, "Blocks", has the layout.
 *
 * Stamps are written as the difference to the stamp before: the changes of one request share a
 * stamp, and those of one sender follow closely, so most take one octet.
 */
export const deltaCodec: DeltaCodec = {
  packer: () => new Packer(),
  decode: decodeBlock,
};

const Flag = {
  life: 1,
  alive: 2,
  absoluteDeadline: 4,
  floor: 8,
  floorIsLife: 16,
  expiry: 32,
} as const;

const stampTagChanged = 64;
const stampBackwards = 32;
const stampLowBits = 31;

class Packer implements DeltaPacker {
  readonly #writer = new ByteWriter();
  #count = 0;
  #time = 0;
  #tag = 0;

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#writer.position;
  }

  add(delta: SessionDelta, bytesMax: number): boolean {
    const { position } = this.#writer;
    const time = this.#time;
    const tag = this.#tag;
    if (this.#count === 0) this.#begin(delta);
    this.#write(delta);
    if (this.#writer.position > bytesMax && this.#count > 0) {
      this.#writer.position = position;
      this.#time = time;
      this.#tag = tag;
      return false;
    }
    this.#count += 1;
    return true;
  }

  take(): Uint8Array {
    return Buffer.from(this.show());
  }

  show(): Uint8Array {
    const block = this.#writer.written();
    this.#writer.position = 0;
    this.#count = 0;
    return block;
  }

  #begin(delta: SessionDelta): void {
    const first = firstStamp(delta);
    this.#time = first.time;
    this.#tag = first.tag;
    this.#writer.varint(first.time);
    this.#writer.u32(first.tag);
  }

  #write(delta: SessionDelta): void {
    const writer = this.#writer;
    const { life, floor, expiry } = delta;
    const floorIsLife =
      floor !== undefined && life !== undefined && compareStamps(floor, life.stamp) === 0;
    let flags = 0;
    if (life !== undefined) flags |= Flag.life;
    if (life?.alive) flags |= Flag.alive;
    if (life !== undefined && life.absoluteDeadlineMs > 0) flags |= Flag.absoluteDeadline;
    if (floorIsLife) flags |= Flag.floorIsLife;
    else if (floor !== undefined) flags |= Flag.floor;
    if (expiry !== undefined) flags |= Flag.expiry;
    writer.u8(flags);
    writer.text(delta.id);
    if (life !== undefined) {
      this.#stamp(life.stamp);
      if (life.absoluteDeadlineMs > 0) writer.varint(life.absoluteDeadlineMs);
    }
    if (floor !== undefined && !floorIsLife) this.#stamp(floor);
    if (expiry !== undefined) {
      this.#stamp(expiry.stamp);
      writer.varint(expiry.idleMs);
      writer.varint(expiry.idleDeadlineMs);
    }
    writer.varint(delta.attributes.length);
    for (const attribute of delta.attributes) this.#attribute(attribute);
  }

  #attribute(attribute: Attribute): void {
    this.#writer.text(attribute.name);
    this.#stamp(attribute.stamp);
    const { value } = attribute;
    if (value === undefined) {
      this.#writer.varint(0);
      return;
    }
    this.#writer.varint(value.length + 1);
    this.#writer.binary(value);
  }

  #stamp(stamp: Stamp): void {
    const backwards = stamp.time < this.#time;
    const distance = backwards ? this.#time - stamp.time : stamp.time - this.#time;
    const tagChanged = stamp.tag !== this.#tag;
    const low = distance % 32;
    const more = distance >= 32;
    const head = low | (backwards ? stampBackwards : 0) | (tagChanged ? stampTagChanged : 0);
    this.#writer.u8(more ? head | 128 : head);
    if (more) this.#writer.varint(Math.floor(distance / 32));
    if (tagChanged) this.#writer.u32(stamp.tag);
    this.#time = stamp.time;
    this.#tag = stamp.tag;
  }
}

function firstStamp(delta: SessionDelta): Stamp {
  return (
    delta.life?.stamp ??
    delta.floor ??
    delta.expiry?.stamp ??
    delta.attributes[0]?.stamp ??
    zeroStamp
  );
}

function decodeBlock(block: Uint8Array): SessionDelta[] | undefined {
  return new BlockReader(block).read();
}

class BlockReader {
  readonly #reader: ByteReader;
  #stamp: Stamp;

  constructor(block: Uint8Array) {
    this.#reader = new ByteReader(block);
    this.#stamp = { time: this.#reader.varint(), tag: this.#reader.u32() };
  }

  read(): SessionDelta[] | undefined {
    const deltas: SessionDelta[] = [];
    while (this.#reader.remaining > 0) deltas.push(this.#delta());
    return this.#reader.failed || deltas.length === 0 ? undefined : deltas;
  }

  #delta(): SessionDelta {
    const reader = this.#reader;
    const flags = reader.u8();
    const id = reader.text();
    if (id.length === 0 || flags > 63) reader.fail();
    const life = flags & Flag.life ? this.#life(flags) : undefined;
    let floor: Stamp | undefined;
    if (flags & Flag.floorIsLife) {
      if (life === undefined || flags & Flag.floor) reader.fail();
      floor = life?.stamp;
    } else if (flags & Flag.floor) {
      floor = this.#nextStamp();
    }
    const expiry = flags & Flag.expiry ? this.#expiry() : undefined;
    return { id, life, floor, attributes: this.#attributes(), expiry };
  }

  #life(flags: number): Life {
    const stamp = this.#nextStamp();
    const absoluteDeadlineMs = flags & Flag.absoluteDeadline ? this.#reader.varint() : 0;
    return { stamp, alive: (flags & Flag.alive) !== 0, absoluteDeadlineMs };
  }

  #expiry(): Expiry {
    const stamp = this.#nextStamp();
    return { stamp, idleMs: this.#reader.varint(), idleDeadlineMs: this.#reader.varint() };
  }

  #attributes(): Attribute[] {
    const reader = this.#reader;
    const count = reader.varint();
    // No limit on their number or size: writes are limited, but a merge of two partitions' writes
    // may hold more. The octets themselves are bounded, and a wrong count runs out of them.
    const attributes: Attribute[] = [];
    for (let index = 0; index < count && !reader.failed; index++) {
      const name = reader.name();
      const stamp = this.#nextStamp();
      const sizePlusOne = reader.varint();
      const value = sizePlusOne === 0 ? undefined : reader.binary(sizePlusOne - 1);
      attributes.push({ name, stamp, value });
    }
    return attributes;
  }

  /** Equal neighbours share one object: the changes of one request nearly always do. */
  #nextStamp(): Stamp {
    const head = this.#reader.u8();
    const more = head & 128 ? this.#reader.varint() : 0;
    const distance = more * 32 + (head & stampLowBits);
    const tag = head & stampTagChanged ? this.#reader.u32() : this.#stamp.tag;
    if (distance === 0 && tag === this.#stamp.tag) return this.#checked(this.#stamp);
    const time = this.#stamp.time + (head & stampBackwards ? -distance : distance);
    this.#stamp = { time, tag };
    return this.#checked(this.#stamp);
  }

  #checked(stamp: Stamp): Stamp {
    if (stamp.time <= 0 || stamp.time > Number.MAX_SAFE_INTEGER) this.#reader.fail();
    return stamp;
  }
}
