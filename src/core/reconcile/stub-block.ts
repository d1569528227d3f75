import { limits } from "../../protocol/limits.ts";
import type { Stub } from "../store/stubs.ts";

/** In a transfer: hashed id, fingerprint, slot of the end, size, version: seven times 32 bits. */
const stubBytes = 28;

export const stubsPerBlock = Math.floor(limits.transferBlockBytes / stubBytes);

export function packStubs(stubs: readonly Stub[]): Uint8Array {
  const block = new Uint8Array(stubs.length * stubBytes);
  const view = new DataView(block.buffer);
  for (const [index, { idHash, fingerprint, endSlot, bytes, version }] of stubs.entries()) {
    const hashes = [idHash.high, idHash.low, fingerprint.high, fingerprint.low];
    for (const [column, number] of [...hashes, endSlot, bytes, version].entries()) {
      view.setInt32(index * stubBytes + column * 4, number);
    }
  }
  return block;
}

/** Undefined: the octets are not a block of stubs. */
export function readStubs(block: Uint8Array): Stub[] | undefined {
  if (block.length % stubBytes !== 0) return undefined;
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  const stubs: Stub[] = [];
  for (let at = 0; at < block.length; at += stubBytes) {
    const endSlot = view.getInt32(at + 16);
    const bytes = view.getInt32(at + 20);
    const version = view.getInt32(at + 24);
    if (endSlot < 0 || bytes < 0 || version < 0) return undefined;
    stubs.push({
      idHash: { high: view.getInt32(at), low: view.getInt32(at + 4) },
      fingerprint: { high: view.getInt32(at + 8), low: view.getInt32(at + 12) },
      endSlot,
      bytes,
      version,
    });
  }
  return stubs;
}
