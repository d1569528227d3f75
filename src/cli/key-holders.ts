import { isKnown, type KeyHolder } from "./key-rotation.ts";

export interface HeldKeys {
  /** This node first, the others by name. */
  readonly holders: readonly KeyHolder[];
  /** See `nextStep`. */
  readonly older: readonly string[];
}

/** From what `stats` shows. Undefined: this node has no keys. */
export function heldKeys(stats: Readonly<Record<string, unknown>>): HeldKeys | undefined {
  const own = recordOf(stats.keys);
  if (typeof own.uses !== "string") return undefined;
  const here = holderOf({ node: stats.node, state: "here", ...own });
  const peers = listOf(stats.peers).map((peer) => holderOf(recordOf(peer)));
  const present = new Set([here, ...peers].filter(isKnown).map(({ node }) => node));
  // Who has left is gone on purpose, and a former start of a node has no say.
  const others = peers
    .filter((peer) => peer.state !== "left" && (isKnown(peer) || !present.has(peer.node)))
    .sort((left, right) => (left.node < right.node ? -1 : 1));
  return { holders: [here, ...others], older: textsOf(own.older) };
}

function holderOf(record: Readonly<Record<string, unknown>>): KeyHolder {
  const { node, address, state, uses, opens } = record;
  return {
    node: String(node || address),
    state: String(state),
    uses: typeof uses === "string" ? uses : "",
    opens: textsOf(opens),
  };
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textsOf(value: unknown): readonly string[] {
  return listOf(value).map(String);
}
