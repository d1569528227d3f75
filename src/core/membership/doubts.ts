import type { BootId } from "../../protocol/frames.ts";

/** What a peer's silence has led to so far; see suspicion.ts. */
export class Doubts {
  /** When it was last pinged for its silence. */
  pingedMs = Number.NEGATIVE_INFINITY;
  /** It has not answered since it was pinged, for this or because another node had asked. */
  pingOpen = false;
  /** This node was stopped, and wants to know at once. */
  pingAtOnce = false;
  /** Silent for so long that others have been asked; the nonce is what they answer to. */
  suspected = false;
  nonce = 0;
  /** When others were last asked, and when one of them said that it hears it. */
  suspectedMs = Number.NEGATIVE_INFINITY;
  vouchedMs = Number.NEGATIVE_INFINITY;
  /** When somebody else last told the group that it misses the peer. */
  toldMs = Number.NEGATIVE_INFINITY;
  /** Who asked this node about the peer, and under which nonce. */
  readonly askers = new Map<BootId, number>();
}
