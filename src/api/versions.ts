/** Versions of the local protocol that somebody speaks: these two and all between. */
export interface Versions {
  readonly lowest: number;
  readonly highest: number;
}

/** What this code speaks, on either side of the socket. */
export const localVersions: Versions = { lowest: 2, highest: 2 };

/** The one that both are to speak; undefined: there is none. */
export function commonVersion(one: Versions, other: Versions): number | undefined {
  const highest = Math.min(one.highest, other.highest);
  return highest >= Math.max(one.lowest, other.lowest) ? highest : undefined;
}

/** Of two that have none in common: for people, with what to do about it. */
export function versionMismatch(sidecar: Versions, client: Versions): string {
  const remedy = `upgrade the ${sidecar.highest < client.lowest ? "sidecar" : "client"}`;
  const [its, ours] = [textOf(sidecar), textOf(client)];
  return `the sidecar speaks ${its} of the local protocol, the client ${ours}: ${remedy}`;
}

function textOf({ lowest, highest }: Versions): string {
  return lowest === highest ? `version ${lowest}` : `versions ${lowest} to ${highest}`;
}
