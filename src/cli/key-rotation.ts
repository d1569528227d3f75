/** What `sessioncast keys` knows of a node. Keys are named by their fingerprints. */
export interface KeyHolder {
  readonly node: string;
  /** `here`, or that of the peer. Of others than `up` it is not known what they hold now. */
  readonly state: string;
  readonly uses: string;
  /** The others, which only open. */
  readonly opens: readonly string[];
}

/**
 * Which step of a change of keys is safe now, in one line; see "Keys" in config/README.md.
 * `older`: of the keys that only open, those that this node has longer than the one that it uses,
 * as the order in its file tells. That decides only what is proposed: of a key that no node uses,
 * and all hold, both steps are safe.
 */
export function nextStep(holders: readonly KeyHolder[], older: readonly string[]): string {
  const known = holders.filter(isKnown);
  const away = holders.filter((holder) => !isKnown(holder));
  const step = conflict(known) ?? stepsWithOneUser(known, older);
  if (away.length === 0) return step;
  const list = away.map(({ node, state }) => `${node} (${state})`).join(", ");
  return `not known: what ${list} may hold, so give it the file of each step; the others: ${step}`;
}

export function isKnown({ state }: KeyHolder): boolean {
  return state === "here" || state === "up";
}

/** Several keys are in use: a step is under way, or went too far. */
function conflict(nodes: readonly KeyHolder[]): string | undefined {
  const used = [...new Set(nodes.map(({ uses }) => uses))];
  for (const key of used) {
    const deaf = nodes.filter((node) => !holds(node, key));
    if (deaf.length === 0) continue;
    const users = nodes.filter(({ uses }) => uses === key);
    const fault = `wrong: ${key} is in use on ${namesOf(users)} and not held by ${namesOf(deaf)}`;
    return `${fault}; add it there as open, and reload`;
  }
  if (used.length <= 1) return undefined;
  const groups = used.map((key) => `${namesOf(nodes.filter(({ uses }) => uses === key))} ${key}`);
  return `under way: in use are ${groups.join(", ")}; retire none before all use the same`;
}

function stepsWithOneUser(nodes: readonly KeyHolder[], older: readonly string[]): string {
  const others = [...new Set(nodes.flatMap(({ opens }) => opens))];
  if (others.length > 0) return others.map((key) => stepFor(key, nodes, older)).join("; ");
  const [used = ""] = nodes.map(({ uses }) => uses);
  return `all use ${used} and hold no other; to change it: sessioncast keygen --add`;
}

/** Of a key that nobody seals with. */
function stepFor(key: string, nodes: readonly KeyHolder[], older: readonly string[]): string {
  const lacking = nodes.filter((node) => !holds(node, key));
  const holding = nodes.filter((node) => holds(node, key));
  if (older.includes(key)) {
    return `safe: no node uses ${key} any more, so retire it: sessioncast keygen --retire ${key}`;
  }
  if (lacking.length === 0) {
    return `safe: all hold ${key}, so let it seal: sessioncast keygen --use ${key}`;
  }
  if (lacking.some(({ state }) => state === "here")) {
    return (
      `no node uses ${key}; ${namesOf(holding)} hold it, and not ${namesOf(lacking)}: ` +
      "give it to them if it is new, retire it if it is old"
    );
  }
  return `wait: ${key} is not on ${namesOf(lacking)}; add it there before any node uses it`;
}

function holds({ uses, opens }: KeyHolder, key: string): boolean {
  return uses === key || opens.includes(key);
}

function namesOf(nodes: readonly KeyHolder[]): string {
  return nodes.map(({ node }) => node).join(", ");
}
