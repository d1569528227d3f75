import type { LeafDigest, RecordDigest, TrieRange } from "../../protocol/frames.ts";
import { framesBytesMax, limits } from "../../protocol/limits.ts";
import { leafLevel, recordLevel } from "../store/digest-trie.ts";
import type { Store } from "../store/store.ts";

/** In octets of the frame: what a leaf takes, and each of its records. */
const leafBytes = 3;
const recordBytes = 10;
const leavesBytesMax = framesBytesMax - limits.frameHeaderBytes - 1;

/**
 * What is in a leaf, record by record, and stubs like records; undefined: nothing, or more than is
 * worth telling.
 */
export function digestOfLeaf(store: Store, leaf: number): LeafDigest | undefined {
  const known = [...store.recordsOfLeaf(leaf), ...store.stubs.ofLeaf(leaf)];
  if (known.length === 0 || known.length > limits.leafRecordsMax) return undefined;
  const records: RecordDigest[] = known.map(({ idHash, fingerprint }) => ({
    key: idHash.high & 0xffff,
    high: fingerprint.high,
    low: fingerprint.low,
  }));
  return { leaf, records };
}

/** Ranges in which `theirs` has what `mine` lacks or has differently. */
export function rangesAhead(theirs: LeafDigest, mine: LeafDigest | undefined): TrieRange[] {
  const known = sumsOf(mine?.records ?? []);
  const ranges: TrieRange[] = [];
  const sums = sumsOf(theirs.records);
  for (const [key, sum] of sums) {
    const own = known.get(key);
    if (own?.high === sum.high && own.low === sum.low) continue;
    ranges.push({ level: recordLevel, prefix: theirs.leaf * 0x10000 + key });
  }
  // One name for most of a leaf is shorter than many, and fewer ranges wait.
  if (ranges.length * 2 <= sums.size) return ranges;
  return [{ level: leafLevel, prefix: theirs.leaf }];
}

/** As many leaves to a frame as fit. */
export function framesOfLeaves(leaves: readonly LeafDigest[]): LeafDigest[][] {
  const frames: LeafDigest[][] = [];
  let left = 0;
  for (const leaf of leaves) {
    const bytes = leafBytes + recordBytes * leaf.records.length;
    if (bytes > left) {
      frames.push([]);
      left = leavesBytesMax;
    }
    frames.at(-1)?.push(leaf);
    left -= bytes;
  }
  return frames;
}

/** By key; records that share one, by a rare chance, have the XOR of their fingerprints. */
function sumsOf(records: readonly RecordDigest[]): Map<number, RecordDigest> {
  const sums = new Map<number, RecordDigest>();
  for (const record of records) {
    const other = sums.get(record.key);
    if (other === undefined) sums.set(record.key, record);
    else {
      const { key } = record;
      sums.set(key, { key, high: other.high ^ record.high, low: other.low ^ record.low });
    }
  }
  return sums;
}
