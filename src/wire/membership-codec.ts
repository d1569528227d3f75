import { unreachable } from "../base/assert.ts";
import { type Heartbeat, type MembershipFrame, type Phase, Tag } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";

const phases: readonly Phase[] = ["joining", "ready", "leaving"];

export function writeMembership(writer: ByteWriter, frame: MembershipFrame): void {
  switch (frame.tag) {
    case Tag.heartbeat:
      writeHeartbeat(writer, frame);
      return;
    case Tag.leave:
      return;
    case Tag.ping:
    case Tag.ack:
      writer.u64(frame.nonce);
      return;
    case Tag.copies:
      writer.u32(frame.leaseMs);
      return;
    case Tag.suspect:
      writer.hex(frame.boot);
      return;
    case Tag.pingRequest:
    case Tag.vouch:
      writer.u32(frame.nonce);
      writer.hex(frame.boot);
      return;
    default:
      unreachable(frame);
  }
}

/** Undefined when it is malformed, or none of these frames. */
export function readMembership(reader: ByteReader, tag: number): MembershipFrame | undefined {
  switch (tag) {
    case Tag.heartbeat:
      return readHeartbeat(reader);
    case Tag.leave:
      return { tag };
    case Tag.ping:
    case Tag.ack:
      return { tag, nonce: reader.u64() };
    case Tag.copies:
      return { tag, leaseMs: reader.u32() };
    case Tag.suspect:
      return { tag, boot: reader.hex(12) };
    case Tag.pingRequest:
    case Tag.vouch:
      return { tag, nonce: reader.u32(), boot: reader.hex(12) };
    default:
      return undefined;
  }
}

function writeHeartbeat(writer: ByteWriter, frame: Heartbeat): void {
  writer.text(frame.name);
  writer.u8(phases.indexOf(frame.phase));
  writer.u8(frame.hello ? 1 : 0);
  writer.u48(frame.sequence);
  writer.u32(frame.digest.high >>> 0);
  writer.u32(frame.digest.low >>> 0);
  writer.u32(frame.count);
  writer.u48(frame.wallMs);
  writer.u32(frame.stubs);
  writer.u8(frame.keys.length);
  for (const fingerprint of frame.keys) writer.u32(fingerprint);
  writer.u48(frame.tombstoneRetentionMs);
  writer.u48(frame.machineMs);
}

function readHeartbeat(reader: ByteReader): Heartbeat | undefined {
  const name = reader.text();
  const phase = phases[reader.u8()];
  if (phase === undefined) return undefined;
  if (name.length === 0 || name.length > limits.nodeNameBytesMax) return undefined;
  const flags = reader.u8();
  if (flags > 1) return undefined;
  const rest = {
    sequence: reader.u48(),
    digest: { high: reader.u32() | 0, low: reader.u32() | 0 },
    count: reader.u32(),
    wallMs: reader.u48(),
    stubs: reader.u32(),
  };
  const keys = readKeys(reader);
  if (keys === undefined) return undefined;
  const tombstoneRetentionMs = reader.u48();
  if (!isRetention(tombstoneRetentionMs)) return undefined;
  return {
    tag: Tag.heartbeat,
    name,
    phase,
    hello: flags === 1,
    ...rest,
    keys,
    tombstoneRetentionMs,
    machineMs: reader.u48(),
  };
}

/** What a configuration may say: all nodes would follow a longer one. */
function isRetention(ms: number): boolean {
  return ms >= limits.tombstoneRetentionMsMin && ms <= limits.durationMsMax;
}

function readKeys(reader: ByteReader): number[] | undefined {
  const count = reader.u8();
  if (count > limits.keysMax) return undefined;
  return Array.from({ length: count }, () => reader.u32());
}
