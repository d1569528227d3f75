import { assert } from "../base/assert.ts";
import type { BootId, Datagram, Frame } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { readFrames, writeFrame } from "./frame-codec.ts";
import { type Header, type HeaderReject, readHeader, writeHeader } from "./header.ts";
import { HeaderCheck } from "./header-check.ts";
import type { ClusterIdentity, Keyring } from "./keyring.ts";
import { Seal, type SealReject } from "./seal.ts";
import { type Echo, SentTails, tailOf } from "./sent-tails.ts";

/** Why a datagram was dropped; each reason has a counter of the same name in `stats`. */
export type Reject = HeaderReject | SealReject | "bad_frame";

export type Opened =
  | { readonly ok: true; readonly datagram: Datagram }
  | { readonly ok: false; readonly reject: Reject };

/**
 * Datagrams of one boot: header, then, sealed if there are keys, preamble (the sender's clock) and
 * frames. Who has keys takes nothing that is not sealed, and who has none nothing that is.
 */
export class DatagramCodec {
  readonly #boot: BootId;
  readonly #sealed: boolean;
  readonly #clusterTag: number;
  readonly #check: HeaderCheck | undefined;
  readonly #seal: Seal | undefined;
  readonly #sent = new SentTails();
  #writer = new ByteWriter(limits.datagramBytesMax);
  #counter = 0;

  constructor(boot: BootId, cluster: ClusterIdentity, ring?: Keyring) {
    this.#boot = boot;
    this.#sealed = ring !== undefined;
    this.#clusterTag = cluster.clusterTag;
    const { checkKey } = cluster;
    assert((checkKey === undefined) === (ring === undefined), "keys come with an identity");
    this.#check = checkKey === undefined ? undefined : new HeaderCheck(checkKey);
    this.#seal = ring === undefined ? undefined : new Seal(boot, cluster.name, ring);
  }

  get isSealed(): boolean {
    return this.#sealed;
  }

  /** Sizes of what is kept of others; without a seal that is nothing. */
  get buffers(): { readonly subKeys: number; readonly failedHosts: number } {
    return this.#seal?.buffers ?? { subKeys: 0, failedHosts: 0 };
  }

  rekey(ring: Keyring): void {
    assert(this.#seal !== undefined, "who starts without keys stays without");
    this.#seal.rekey(ring);
  }

  /** In memory of its own. */
  encode(frames: readonly Frame[], clock: number): Buffer {
    return Buffer.from(this.encodeInPlace(frames, clock));
  }

  /** In the codec's memory: until the next datagram, or `letGo`. */
  encodeInPlace(frames: readonly Frame[], clock: number): Buffer {
    assert(frames.length > 0, "a datagram has a frame");
    const writer = this.#writer;
    writer.position = limits.headerBytes;
    writer.u64(clock);
    for (const frame of frames) writeFrame(writer, frame);
    const sealedEnd = writer.position + limits.sealBytes;
    assert(
      sealedEnd <= limits.datagramBytesMax,
      "a datagram fits the network and leaves room for the seal",
    );
    if (this.#sealed) writer.position = sealedEnd;
    const bytes = writer.written();
    this.#counter += 1;
    const header = {
      sealed: this.#sealed,
      keyMark: this.#seal?.mark ?? 0,
      clusterTag: this.#clusterTag,
      boot: this.#boot,
      counter: this.#counter,
    };
    writeHeader(bytes, header, this.#check);
    this.#seal?.seal(bytes);
    this.#sent.note(this.#counter, bytes);
    return bytes;
  }

  /** The kernel still reads what was encoded last: the next datagram is written elsewhere. */
  letGo(): void {
    this.#writer = new ByteWriter(limits.datagramBytesMax);
  }

  /** Of a datagram whose header holds. */
  bootOf(bytes: Buffer): BootId {
    return bytes.toString("hex", 8, 20);
  }

  isOwn({ boot }: Header): boolean {
    return boot === this.#boot;
  }

  /** What it is that came under our own boot id. Our multicast comes back to us, once. */
  echo({ counter }: Header, bytes: Buffer): Echo {
    return this.#sent.echo(counter, bytes);
  }

  /** The checks that cost nothing. */
  readHeader(bytes: Buffer): Header | HeaderReject {
    return readHeader(bytes, { clusterTag: this.#clusterTag, check: this.#check });
  }

  /**
   * The rest, of a datagram whose header holds. Foreign octets: a reason instead of an exception.
   * Frames hold views into memory of their own, or, without a seal, into `bytes`. `source`: the
   * address that it came from.
   */
  open(bytes: Buffer, header: Header, source: string, nowMs: number): Opened {
    const plain =
      this.#seal === undefined
        ? bytes.subarray(limits.headerBytes)
        : this.#seal.open(bytes, header, source, nowMs);
    if (typeof plain === "string") return { ok: false, reject: plain };
    const reader = new ByteReader(plain, 0);
    const clock = reader.u64();
    const frames = readFrames(reader);
    if (frames === undefined) return { ok: false, reject: "bad_frame" };
    const { boot, counter } = header;
    return { ok: true, datagram: { boot, counter, tail: tailOf(bytes), clock, frames } };
  }

  decode(bytes: Buffer, nowMs: number, source = "somewhere:1"): Opened {
    const header = this.readHeader(bytes);
    if (typeof header === "string") return { ok: false, reject: header };
    return this.open(bytes, header, source, nowMs);
  }
}
