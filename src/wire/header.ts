import { type BootId, protocolVersion } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";
import type { HeaderCheck } from "./header-check.ts";

/**
 * The clear part of every datagram, authenticated as a whole by the seal:
 *
 *     0  u16  magic 0x5343          8   12 B  boot id
 *     2  u8   protocol version      20  u48   datagram counter of this boot
 *     3  u8   flags (1: sealed)     26  u16   check, see `HeaderCheck`; 0 without a seal
 *     4  u16  key mark
 *     6  u16  cluster tag
 */
export interface Header {
  readonly sealed: boolean;
  /** Names the key of the seal; 0 without one. */
  readonly keyMark: number;
  readonly clusterTag: number;
  readonly boot: BootId;
  readonly counter: number;
}

/** Why a datagram was dropped; each reason has a counter of the same name in `stats`. */
export type HeaderReject =
  | "too_short"
  | "too_long"
  | "bad_magic"
  | "bad_version"
  | "bad_flags"
  | "unsealed"
  | "sealed"
  | "wrong_cluster"
  | "bad_header";

const magic = 0x5343;
const sealedFlag = 1;

/** `check`: undefined without a seal. */
export function writeHeader(target: Buffer, header: Header, check?: HeaderCheck): void {
  target.writeUInt16BE(magic, 0);
  target[2] = protocolVersion;
  target[3] = header.sealed ? sealedFlag : 0;
  target.writeUInt16BE(header.keyMark, 4);
  target.writeUInt16BE(header.clusterTag, 6);
  target.write(header.boot, 8, "hex");
  target.writeUIntBE(header.counter, 20, 6);
  target.writeUInt16BE(check?.of(target) ?? 0, 26);
}

/**
 * Cheap checks first: nothing beyond the header is looked at before they hold, and the key not
 * before that. `expected`: the cluster, and the check of its sealed datagrams; undefined: none are.
 */
export function readHeader(
  bytes: Buffer,
  expected: { readonly clusterTag: number; readonly check: HeaderCheck | undefined },
): Header | HeaderReject {
  const { check } = expected;
  const sealBytes = check === undefined ? 0 : limits.sealBytes;
  const least = limits.headerBytes + limits.preambleBytes + sealBytes;
  if (bytes.length < least) return "too_short";
  if (bytes.length > limits.datagramBytesMax) return "too_long";
  if (bytes.readUInt16BE(0) !== magic) return "bad_magic";
  if (bytes[2] !== protocolVersion) return "bad_version";
  const flags = bytes[3] ?? 0;
  if (flags > sealedFlag) return "bad_flags";
  const sealed = flags === sealedFlag;
  if (sealed !== (check !== undefined)) return sealed ? "sealed" : "unsealed";
  const clusterTag = bytes.readUInt16BE(6);
  if (clusterTag !== expected.clusterTag) return "wrong_cluster";
  if (bytes.readUInt16BE(26) !== (check?.of(bytes) ?? 0)) return "bad_header";
  return {
    sealed,
    keyMark: bytes.readUInt16BE(4),
    clusterTag,
    boot: bytes.toString("hex", 8, 20),
    counter: bytes.readUIntBE(20, 6),
  };
}
