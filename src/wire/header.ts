import { type BootId, protocolVersion } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";

/**
 * The clear part of every datagram, authenticated as a whole once datagrams are sealed:
 *
 *     0  u16  magic 0x5343          8   12 B  boot id
 *     2  u8   protocol version      20  u48   datagram counter of this boot
 *     3  u8   flags (1: sealed)     26  u16   zero
 *     4  u16  key fingerprint
 *     6  u16  cluster tag
 */
export interface Header {
  readonly keyFingerprint: number;
  readonly clusterTag: number;
  readonly boot: BootId;
  readonly counter: number;
}

/** Why a datagram was dropped; each reason has a counter of the same name in `stats`. */
export type Reject =
  | "too_short"
  | "too_long"
  | "bad_magic"
  | "bad_version"
  | "bad_flags"
  | "wrong_cluster"
  | "wrong_key"
  | "bad_frame";

const magic = 0x5343;

export function writeHeader(target: Buffer, header: Header): void {
  target.writeUInt16BE(magic, 0);
  target[2] = protocolVersion;
  target[3] = 0;
  target.writeUInt16BE(header.keyFingerprint, 4);
  target.writeUInt16BE(header.clusterTag, 6);
  target.write(header.boot, 8, "hex");
  target.writeUIntBE(header.counter, 20, 6);
  target.writeUInt16BE(0, 26);
}

/** Cheap checks first: nothing beyond the header is looked at before they hold. */
export function readHeader(
  bytes: Buffer,
  expected: { readonly keyFingerprint: number; readonly clusterTag: number },
): Header | Reject {
  if (bytes.length < limits.headerBytes + limits.preambleBytes) return "too_short";
  if (bytes.length > limits.datagramBytesMax) return "too_long";
  if (bytes.readUInt16BE(0) !== magic) return "bad_magic";
  if (bytes[2] !== protocolVersion) return "bad_version";
  if (bytes[3] !== 0 || bytes.readUInt16BE(26) !== 0) return "bad_flags";
  const keyFingerprint = bytes.readUInt16BE(4);
  const clusterTag = bytes.readUInt16BE(6);
  if (clusterTag !== expected.clusterTag) return "wrong_cluster";
  if (keyFingerprint !== expected.keyFingerprint) return "wrong_key";
  return {
    keyFingerprint,
    clusterTag,
    boot: bytes.toString("hex", 8, 20),
    counter: bytes.readUIntBE(20, 6),
  };
}
