import type { Hash64 } from "../../session/fingerprint.ts";
import {
  type Attribute,
  type Expiry,
  type Life,
  neverUsed,
  type SessionState,
  unborn,
  type Value,
} from "../../session/record.ts";
import { type Stamp, zeroStamp } from "../../session/stamp.ts";

/** One session as this node holds it: the replicated state and where it hangs locally. */
export class StoredRecord implements SessionState {
  // First what each search and each read looks at: a record spans several cache lines.
  readonly id: string;
  /** Two hashes of 64 bits. In place: as objects they would take a tenth of the record. */
  readonly #idHigh: number;
  readonly #idLow: number;
  /** Behind it in its list of the record table. */
  nextInTable: StoredRecord | undefined = undefined;
  life: Life = unborn;
  expiry: Expiry = neverUsed;
  attributes: Attribute[] = [];
  /** The latest write, to life, floor or attributes; a mere use does not count. */
  newest: Stamp = zeroStamp;
  /** Where the record is kept; `none` before it is and after it was forgotten. */
  place: "none" | "sessions" | "tombstones" = "none";
  /**
   * The idle deadline as moved by uses here that were not worth replicating; undefined: by none.
   * A field that held a large number once keeps a box for one in every record, unless it may be
   * empty.
   */
  ownDeadlineMs: number | undefined = undefined;

  floor: Stamp = zeroStamp;
  #high = 0;
  #low = 0;
  /** Estimated memory, as charged against the store's limit. */
  bytes = 0;
  /** It was known only by a stub before: what this node itself had written may not be in it. */
  gaveUp = false;
  /** As it is indexed; undefined: it has none, or is not alive. */
  owner: Value | undefined = undefined;
  /** Own stamp time from which on changes have not been sent; undefined: all sent. */
  dirtySince: number | undefined = undefined;
  /** The expiry slot it waits in; 0: none. */
  slot = 0;
  /** Its neighbours in the order of use, among what is kept in the same place. */
  usedBefore: StoredRecord | undefined = undefined;
  usedAfter: StoredRecord | undefined = undefined;

  constructor(id: string, { high, low }: Readonly<Hash64>) {
    this.id = id;
    this.#idHigh = high;
    this.#idLow = low;
  }

  /** Whether its hashed id has these halves. */
  hasHash(high: number, low: number): boolean {
    return this.#idLow === low && this.#idHigh === high;
  }

  get idHash(): Readonly<Hash64> {
    return { high: this.#idHigh, low: this.#idLow };
  }

  /** A copy; to be set when it has changed. */
  get fingerprint(): Hash64 {
    return { high: this.#high, low: this.#low };
  }

  set fingerprint({ high, low }: Readonly<Hash64>) {
    this.#high = high;
    this.#low = low;
  }

  /** Its place in the digest trie: the first four hex digits of the hashed id. */
  get leaf(): number {
    return this.#idHigh >>> 16;
  }
}

/** A record, or a whole one on its way. */
interface Sized {
  readonly id: string;
  readonly attributes: readonly Attribute[];
}

/** Fixed cost of a record and of an attribute beside their text; measured, rounded up. */
const recordBytes = 400;
const attributeOverheadBytes = 100;

export function measureBytes(record: Sized): number {
  let bytes = recordBytes + record.id.length;
  for (const attribute of record.attributes) {
    bytes += attributeOverheadBytes + attribute.name.length + (attribute.value?.length ?? 0);
  }
  return bytes;
}

/** The octets that an attribute takes on the wire, as limited per session. */
export function attributeBytes(attribute: Attribute): number {
  return attribute.name.length + (attribute.value?.length ?? 0) + 16;
}
