import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import type { BootId } from "../protocol/frames.ts";
import { limits } from "../protocol/limits.ts";
import { BootTrials } from "./boot-trials.ts";
import type { Header } from "./header.ts";
import { derive, type Key, type Keyring, keyBytes, markOf } from "./keyring.ts";

const algorithm = "aes-256-gcm";
const counterOffset = 20;
const counterBytes = 6;
const nonceBytes = 12;

/** Why a datagram was not opened. */
export type SealReject = "wrong_key" | "bad_seal" | "boots_throttled";

/**
 * AES-256-GCM over everything behind the header, which is its associated data. Each boot has a
 * sub-key of its own, by HKDF-SHA256 from the cluster's key, with the boot id as salt; the nonce is
 * the datagram's counter. So no pair of sub-key and nonce can come twice, restarts included, as
 * long as boot ids do not; nothing has to be kept on disk for it (the scheme of WireGuard, with
 * keys that are given instead of agreed on).
 *
 * The group shares its keys, so any member can speak as any other; see README, "Security".
 */
export class Seal {
  readonly #boot: BootId;
  readonly #purpose: string;
  readonly #nonce = Buffer.alloc(nonceBytes);
  /**
   * Sub-keys that something was sealed with, so that others cannot fill this, by boot and key mark,
   * in the order of their last use, to `subKeyMoveMs`. While keys are changed a boot has several:
   * were there one for each boot, a recording of the other key would take the place of the one in
   * use.
   */
  readonly #known = new Map<string, SubKey>();
  readonly #trials = new BootTrials();
  #ring: Keyring;
  #own: SubKey;

  constructor(boot: BootId, cluster: string, ring: Keyring) {
    this.#boot = boot;
    this.#purpose = `sessioncast seal 1 ${cluster}`;
    this.#ring = ring;
    this.#own = this.#subKey(ring.use, Buffer.from(boot, "hex"));
  }

  /** What the header of the next datagram has to name. */
  get mark(): number {
    return markOf(this.#own.key);
  }

  /** Sizes of what is kept of others. */
  get buffers(): { readonly subKeys: number; readonly failedHosts: number } {
    return { subKeys: this.#known.size, failedHosts: this.#trials.failedHosts };
  }

  /** From now on these keys count. The counter goes on, so one that comes back repeats nothing. */
  rekey(ring: Keyring): void {
    this.#ring = ring;
    this.#own = this.#subKey(ring.use, Buffer.from(this.#boot, "hex"));
    for (const [name, { key }] of this.#known) {
      if (ring.find(markOf(key))?.fingerprint !== key.fingerprint) this.#known.delete(name);
    }
  }

  /** In place: the header is complete, and the last octets are free for the tag. */
  seal(datagram: Buffer): void {
    const end = datagram.length - limits.sealBytes;
    const cipher = createCipheriv(algorithm, this.#own.secret, this.#nonceOf(datagram));
    cipher.setAAD(datagram.subarray(0, limits.headerBytes));
    cipher.update(datagram.subarray(limits.headerBytes, end)).copy(datagram, limits.headerBytes);
    cipher.final();
    cipher.getAuthTag().copy(datagram, end);
  }

  /** What was sealed, in memory of its own. `source`: where it came from. */
  open(
    datagram: Buffer,
    { boot, keyMark }: Header,
    source: string,
    nowMs: number,
  ): Buffer | SealReject {
    const key = this.#ring.find(keyMark);
    if (key === undefined) return "wrong_key";
    const name = `${boot}${keyMark}`;
    const isOwn = boot === this.#boot && keyMark === this.mark;
    const known = isOwn ? this.#own : this.#known.get(name);
    if (known === undefined && !this.#trials.take(source, nowMs)) {
      return "boots_throttled";
    }
    const subKey = known ?? this.#subKey(key, datagram.subarray(8, 20));
    const opened = this.#open(datagram, subKey);
    if (opened === undefined) {
      if (known === undefined) this.#trials.failed(source, nowMs);
      return "bad_seal";
    }
    if (!isOwn && nowMs >= subKey.placedMs + limits.subKeyMoveMs) {
      this.#remember(name, subKey, nowMs);
    }
    return opened;
  }

  #open(datagram: Buffer, { secret }: SubKey): Buffer | undefined {
    const end = datagram.length - limits.sealBytes;
    const decipher = createDecipheriv(algorithm, secret, this.#nonceOf(datagram), gcmOptions);
    decipher.setAAD(datagram.subarray(0, limits.headerBytes));
    decipher.setAuthTag(datagram.subarray(end));
    const plain = decipher.update(datagram.subarray(limits.headerBytes, end));
    return isAuthentic(decipher) ? plain : undefined;
  }

  #nonceOf(datagram: Buffer): Buffer {
    const at = nonceBytes - counterBytes;
    datagram.copy(this.#nonce, at, counterOffset, counterOffset + counterBytes);
    return this.#nonce;
  }

  #subKey(key: Key, boot: Uint8Array): SubKey {
    const derived = derive(key.secret, this.#purpose, keyBytes, boot);
    return { key, secret: createSecretKey(derived), placedMs: Number.NEGATIVE_INFINITY };
  }

  /**
   * Or moves it to the end: who is heard again and again is not pushed out by recordings. Not for
   * each datagram, which would cost more than to look it up.
   */
  #remember(name: string, subKey: SubKey, nowMs: number): void {
    subKey.placedMs = nowMs;
    if (!this.#known.delete(name) && this.#known.size >= limits.subKeysMax) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.set(name, subKey);
  }
}

interface SubKey {
  /** What it is derived from. */
  readonly key: Key;
  readonly secret: KeyObject;
  /** When it was last put at the end. */
  placedMs: number;
}

const gcmOptions = { authTagLength: limits.sealBytes };

/** A flood of forgeries must not pay for stack traces that nobody reads. */
function isAuthentic(decipher: { final(): Buffer }): boolean {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    decipher.final();
    return true;
  } catch {
    return false;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
