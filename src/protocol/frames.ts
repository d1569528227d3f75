import type { Hash64 } from "../session/fingerprint.ts";

/**
 * What peers say to each other. One datagram carries several frames. The numbers are the protocol:
 * ONLY APPEND, never renumber or reuse; an unknown number makes a datagram invalid, so a new frame
 * needs a new protocol version. PROTOCOL.md has the octets.
 */
export const Tag = {
  heartbeat: 1,
  leave: 2,
  ping: 3,
  ack: 4,
  delta: 5,
  fragment: 6,
  nak: 7,
  nakMiss: 8,
  digest: 9,
  want: 10,
  offer: 11,
  chunk: 12,
  credit: 13,
  fetch: 14,
  found: 15,
  absent: 16,
  confirm: 17,
  confirmed: 18,
  copies: 19,
  evicted: 20,
  leaves: 21,
  suspect: 22,
  pingRequest: 23,
  vouch: 24,
} as const;

export const protocolVersion = 2;

/** 12 octets: start time in ms (48 bits) and 48 random bits, as 24 hex digits; unique per start. */
export type BootId = string;

export type Phase = "joining" | "ready" | "leaving";

/** "I am here, this is what I sent and what I hold." Twice a second, more often after data. */
export interface Heartbeat {
  readonly tag: typeof Tag.heartbeat;
  readonly name: string;
  readonly phase: Phase;
  /** Asks every receiver for a heartbeat of its own, by unicast. */
  readonly hello: boolean;
  /** Highest sequence number of the delta stream sent so far; 0: none. */
  readonly sequence: number;
  readonly digest: Hash64;
  /** Records that it holds, tombstones included. */
  readonly count: number;
  /** The sender's wall clock, milliseconds since 1970; its hybrid clock may be ahead of it. */
  readonly wallMs: number;
  /** What its machine's clock shows, if that was set and is not followed; else about the same. */
  readonly machineMs: number;
  /** Stubs: records that its digest counts and that it does not hold. */
  readonly stubs: number;
  /** Fingerprints of the keys that it holds, the one that it seals with first; none: no seal. */
  readonly keys: readonly number[];
  /** For how long it is configured to remember what was destroyed; the longest counts for all. */
  readonly tombstoneRetentionMs: number;
}

export interface Leave {
  readonly tag: typeof Tag.leave;
}

export interface Ping {
  readonly tag: typeof Tag.ping;
  readonly nonce: number;
}

export interface Ack {
  readonly tag: typeof Tag.ack;
  readonly nonce: number;
}

/** Deltas of one or more sessions: one unit of the sender's numbered stream. */
export interface DeltaFrame {
  readonly tag: typeof Tag.delta;
  readonly sequence: number;
  /** Encoded by the delta codec. On receipt a view into the datagram: copy to keep. */
  readonly block: Uint8Array;
}

/**
 * A piece of a block too large for one datagram. Pieces have consecutive sequence numbers, so each
 * is repairable on its own and `sequence - index` names the block.
 */
export interface Fragment {
  readonly tag: typeof Tag.fragment;
  readonly sequence: number;
  readonly index: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

export interface SequenceRange {
  readonly first: number;
  readonly count: number;
}

/** By unicast to the sender of the stream: these are missing here. */
export interface Nak {
  readonly tag: typeof Tag.nak;
  /** Whose stream; a restarted sender must not answer for its former self. */
  readonly boot: BootId;
  readonly ranges: readonly SequenceRange[];
}

/** The answer to a NAK for what the ring no longer holds: nothing below `oldest` will come. */
export interface NakMiss {
  readonly tag: typeof Tag.nakMiss;
  readonly oldest: number;
}

/**
 * A node of the digest trie, named by the first `level` hex digits of the hashed session id, 0 to 4
 * of them; or 8: the records whose hashed id begins with these, nearly always one.
 */
export interface TrieRange {
  readonly level: number;
  readonly prefix: number;
}

export interface DigestNode {
  readonly prefix: number;
  /** 16 children, each as high and low 32 bits. */
  readonly children: readonly number[];
}

/** "Here are my hashes below these nodes." The receiver goes on where its own differ. */
export interface Digest {
  readonly tag: typeof Tag.digest;
  readonly level: number;
  readonly nodes: readonly DigestNode[];
}

/** A record of a leaf: the next 16 bits of its hashed id, and its fingerprint. */
export interface RecordDigest {
  readonly key: number;
  readonly high: number;
  readonly low: number;
}

export interface LeafDigest {
  readonly leaf: number;
  readonly records: readonly RecordDigest[];
}

/** "Here is what I have in these leaves." The last step of the walk that begins with digests. */
export interface Leaves {
  readonly tag: typeof Tag.leaves;
  readonly leaves: readonly LeafDigest[];
}

/** Asks for all records in these ranges, as a transfer that the asker names and paces. */
export interface Want {
  readonly tag: typeof Tag.want;
  readonly transfer: number;
  readonly ranges: readonly TrieRange[];
}

/** "I have records in these ranges that you lack or hold differently": pull them. */
export interface Offer {
  readonly tag: typeof Tag.offer;
  readonly ranges: readonly TrieRange[];
}

/** A piece of a transfer: a stream of octets, cut at will, that holds length-prefixed blocks. */
export interface Chunk {
  readonly tag: typeof Tag.chunk;
  readonly transfer: number;
  readonly index: number;
  readonly last: boolean;
  readonly bytes: Uint8Array;
}

/** The receiver's progress: all below `next` has arrived, `missing` above it has not. */
export interface Credit {
  readonly tag: typeof Tag.credit;
  readonly transfer: number;
  readonly next: number;
  /** The donor may send chunks below `next + window`; 0 ends the transfer. */
  readonly window: number;
  readonly missing: readonly number[];
}

/** "Do you have this session?" Asked by a node that does not have the whole state yet. */
export interface Fetch {
  readonly tag: typeof Tag.fetch;
  readonly nonce: number;
  readonly id: string;
}

/** The whole record; an empty block: it is too large for a datagram, pull its leaf. */
export interface Found {
  readonly tag: typeof Tag.found;
  readonly nonce: number;
  /** It has held the record all the while: what it wrote itself is in there. */
  readonly kept: boolean;
  readonly block: Uint8Array;
}

/** "I have no such session." Final if the answering node is ready. */
export interface Absent {
  readonly tag: typeof Tag.absent;
  readonly nonce: number;
}

/** "I know of such a session and do not hold it": whether it exists is for others to say. */
export interface Evicted {
  readonly tag: typeof Tag.evicted;
  readonly nonce: number;
}

/** "Tell me once you have applied all numbers from `first` to `last` of my stream." */
export interface Confirm {
  readonly tag: typeof Tag.confirm;
  readonly first: number;
  readonly last: number;
}

/** "I have": nothing of the range is missing, was given up, or was refused. */
export interface Confirmed {
  readonly tag: typeof Tag.confirmed;
  /** Whose stream: the numbers of a sender that was restarted begin anew. */
  readonly boot: BootId;
  readonly first: number;
  readonly last: number;
}

/** "Your multicast does not reach me": copies by unicast, please, for so long. 0: no more. */
export interface Copies {
  readonly tag: typeof Tag.copies;
  readonly leaseMs: number;
}

/** "I have not heard this boot for a while." Who is meant answers with a heartbeat. */
export interface Suspect {
  readonly tag: typeof Tag.suspect;
  readonly boot: BootId;
}

/** "Do you hear this boot?" The one who is asked pings it if it is not sure. */
export interface PingRequest {
  readonly tag: typeof Tag.pingRequest;
  readonly nonce: number;
  readonly boot: BootId;
}

/** "I do": the answer to a ping request, with its nonce. */
export interface Vouch {
  readonly tag: typeof Tag.vouch;
  readonly nonce: number;
  readonly boot: BootId;
}

/** Who is there, and by which ways. */
export type MembershipFrame =
  | Heartbeat
  | Leave
  | Ping
  | Ack
  | Copies
  | Suspect
  | PingRequest
  | Vouch;

export type Frame =
  | MembershipFrame
  | DeltaFrame
  | Fragment
  | Nak
  | NakMiss
  | Digest
  | Want
  | Offer
  | Chunk
  | Credit
  | Fetch
  | Found
  | Absent
  | Evicted
  | Confirm
  | Confirmed
  | Leaves;

/** A datagram whose header and frames were found valid. */
export interface Datagram {
  readonly boot: BootId;
  /** 1 for the first datagram of its boot. */
  readonly counter: number;
  /** Of its octets as they were sent the last four: with a seal, no other content has the same. */
  readonly tail: number;
  /** The sender's hybrid clock when it sent this. */
  readonly clock: number;
  readonly frames: readonly Frame[];
}
