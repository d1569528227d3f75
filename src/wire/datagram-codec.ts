import { createHash } from "node:crypto";
import { assert } from "../base/assert.ts";
import type { BootId, Datagram, Frame } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";
import type { HashKey } from "../session/fingerprint.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { readFrames, writeFrame } from "./frame-codec.ts";
import { type Reject, readHeader, writeHeader } from "./header.ts";

/** What all nodes of a cluster derive from its name, until it has a key. */
export interface ClusterIdentity {
  readonly clusterTag: number;
  readonly keyFingerprint: number;
  readonly hashKey: HashKey;
}

export function clusterIdentity(name: string): ClusterIdentity {
  const digest = createHash("sha256").update(`sessioncast cluster ${name}`).digest();
  return {
    clusterTag: digest.readUInt16BE(0),
    keyFingerprint: 0,
    hashKey: { high: digest.readUInt32BE(2), low: digest.readUInt32BE(6) },
  };
}

export type Opened =
  | { readonly ok: true; readonly datagram: Datagram }
  | { readonly ok: false; readonly reject: Reject };

/** Datagrams of one boot: header, preamble (the sender's clock), frames. */
export class DatagramCodec {
  readonly #boot: BootId;
  readonly #bootBytes: Buffer;
  readonly #identity: ClusterIdentity;
  readonly #writer = new ByteWriter(limits.datagramBytesMax);
  #counter = 0;

  constructor(boot: BootId, identity: ClusterIdentity) {
    this.#boot = boot;
    this.#bootBytes = Buffer.from(boot, "hex");
    this.#identity = identity;
  }

  /** Memory of its own: the kernel may read it after this returns. */
  encode(frames: readonly Frame[], clock: number): Buffer {
    assert(frames.length > 0, "a datagram has a frame");
    const writer = this.#writer;
    writer.position = limits.headerBytes;
    writer.u64(clock);
    for (const frame of frames) writeFrame(writer, frame);
    assert(
      writer.position + limits.sealBytes <= limits.datagramBytesMax,
      "a datagram fits the network and leaves room for the seal",
    );
    const bytes = writer.copyFrom(0);
    this.#counter += 1;
    writeHeader(bytes, {
      keyFingerprint: this.#identity.keyFingerprint,
      clusterTag: this.#identity.clusterTag,
      boot: this.#boot,
      counter: this.#counter,
    });
    return bytes;
  }

  /** Our own multicast comes back to us; known by its boot id before anything is parsed. */
  isOwn(bytes: Buffer): boolean {
    return bytes.length >= limits.headerBytes && this.#bootBytes.compare(bytes, 8, 20) === 0;
  }

  /** Foreign octets: a reason instead of an exception. Frames hold views into `bytes`. */
  decode(bytes: Buffer): Opened {
    const header = readHeader(bytes, this.#identity);
    if (typeof header === "string") return { ok: false, reject: header };
    const reader = new ByteReader(bytes, limits.headerBytes);
    const clock = reader.u64();
    const frames = readFrames(reader);
    if (frames === undefined) return { ok: false, reject: "bad_frame" };
    return { ok: true, datagram: { boot: header.boot, clock, frames } };
  }
}
