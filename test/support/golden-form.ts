import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Frame } from "../../src/protocol/frames.ts";
import type { Hash64 } from "../../src/session/fingerprint.ts";
import type { SessionDelta } from "../../src/session/record.ts";

/**
 * How vectors.json writes what has no form in JSON: octets as hex digits, an absent part as null.
 * Field names are those of the specification, so that it serves readers of any language.
 */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

export interface DatagramVector {
  readonly name: string;
  readonly cluster: string;
  readonly boot: string;
  readonly counter: number;
  readonly clock: number;
  readonly frames: readonly { readonly [key: string]: Json }[];
  readonly hex: string;
}

/** The first datagram of a boot of a cluster with keys. */
export interface SealVector extends Omit<DatagramVector, "counter"> {
  readonly secret: string;
  readonly key: string;
  readonly fingerprint: number;
}

export interface BlockVector {
  readonly name: string;
  readonly deltas: readonly Json[];
  readonly hex: string;
}

export interface HashVector {
  readonly key: { readonly high: number; readonly low: number };
  readonly id: string;
  readonly idHash: string;
  readonly component: "life" | "floor" | "expiry" | "attribute";
  readonly name: string;
  readonly time: number;
  readonly tag: number;
  readonly hash: string;
}

export interface ClusterVector {
  readonly name: string;
  /** 32 octets, or null: a cluster without keys. */
  readonly secret: string | null;
  readonly clusterTag: number;
  /** Eight octets, or null. */
  readonly checkKey: string | null;
  readonly hashKey: { readonly high: number; readonly low: number };
}

export interface Vectors {
  readonly clusters: readonly ClusterVector[];
  readonly hashes: readonly HashVector[];
  readonly blocks: readonly BlockVector[];
  readonly datagrams: readonly DatagramVector[];
  readonly seals: readonly SealVector[];
}

/** The compiled tests lie elsewhere: the vectors are found from the root of the repository. */
export function readVectors(): Vectors {
  const path = join(process.cwd(), "test", "conformance", "vectors.json");
  return JSON.parse(readFileSync(path, "utf8")) as Vectors;
}

function hexOf(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

export function hashHex({ high, low }: Hash64): string {
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

export function frameToJson(frame: Frame): Json {
  const octetsAsHex = (_key: string, value: unknown) =>
    value instanceof Uint8Array ? hexOf(value) : value;
  // A Buffer would turn itself into a list of numbers before it can be replaced.
  const plain = Object.fromEntries(
    Object.entries(frame).map(([key, value]) => [
      key,
      value instanceof Uint8Array ? Uint8Array.from(value) : value,
    ]),
  );
  return JSON.parse(JSON.stringify(plain, octetsAsHex)) as Json;
}

export function frameFromJson(json: { readonly [key: string]: Json }): Frame {
  const fields = Object.entries(json).map(([key, value]) => {
    const octets = (key === "block" || key === "bytes") && typeof value === "string";
    return [key, octets ? Buffer.from(value, "hex") : value] as const;
  });
  return Object.fromEntries(fields) as unknown as Frame;
}

export function deltaToJson(delta: SessionDelta): Json {
  const { id, life, floor, expiry, attributes } = delta;
  const shown = {
    id,
    life: life ?? null,
    floor: floor ?? null,
    expiry: expiry ?? null,
    attributes: attributes.map(({ name, stamp, value }) => ({
      name,
      stamp,
      value: value === undefined ? null : Buffer.from(value, "latin1").toString("hex"),
    })),
  };
  return JSON.parse(JSON.stringify(shown)) as Json;
}

interface DeltaJson {
  readonly id: string;
  readonly life: SessionDelta["life"] | null;
  readonly floor: SessionDelta["floor"] | null;
  readonly expiry: SessionDelta["expiry"] | null;
  readonly attributes: readonly {
    readonly name: string;
    readonly stamp: { readonly time: number; readonly tag: number };
    readonly value: string | null;
  }[];
}

export function deltaFromJson(json: Json): SessionDelta {
  const { id, life, floor, expiry, attributes } = json as unknown as DeltaJson;
  return {
    id,
    life: life ?? undefined,
    floor: floor ?? undefined,
    expiry: expiry ?? undefined,
    attributes: attributes.map(({ name, stamp, value }) => ({
      name,
      stamp,
      value: value === null ? undefined : Buffer.from(value, "hex").toString("latin1"),
    })),
  };
}
