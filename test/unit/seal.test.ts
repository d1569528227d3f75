import assert from "node:assert/strict";
import { test } from "node:test";
import { Tag } from "../../src/protocol/frames.ts";
import { limits } from "../../src/protocol/limits.ts";
import { DatagramCodec } from "../../src/wire/datagram-codec.ts";
import { clusterIdentity, Keyring } from "../../src/wire/keyring.ts";
import { keysOf, ownBoot } from "../support/guarded-replica.ts";

const bootOf = (index: number) => `00000000dddd${index.toString(16).padStart(12, "0")}`;
const cluster = clusterIdentity("seal", keysOf(1).identity);
const rings = { before: new Keyring(keysOf(1, 2)), after: new Keyring(keysOf(2, 1)) };

/** Each sender has a boot of its own. */
class Scene {
  readonly #receiver = new DatagramCodec(ownBoot, cluster, rings.before);
  readonly peer = new DatagramCodec(bootOf(0), cluster, rings.before);
  #senders = 0;
  nowMs = 0;

  /** What opening this comes to. */
  open(bytes: Buffer): string {
    const opened = this.#receiver.decode(bytes, this.nowMs);
    return opened.ok ? "ok" : opened.reject;
  }

  openOf(sender: DatagramCodec): string {
    return this.open(sender.encode([{ tag: Tag.leave }], 1));
  }

  openOfUnknown(): string {
    this.#senders += 1;
    return this.openOf(new DatagramCodec(bootOf(this.#senders), cluster, rings.before));
  }

  /** Until no unknown sub-key is tried any more in this moment. */
  exhaust(): void {
    while (this.openOfUnknown() === "ok");
    assert.equal(this.openOfUnknown(), "boots_throttled");
  }
}

test("recordings of a key that is being retired do not make a peer unknown", () => {
  const scene = new Scene();
  const { peer } = scene;
  const recorded = Array.from({ length: 20 }, () => peer.encode([{ tag: Tag.leave }], 1));
  for (const bytes of recorded) assert.equal(scene.open(bytes), "ok");
  peer.rekey(rings.after);
  assert.equal(scene.openOf(peer), "ok");
  scene.exhaust();
  for (const bytes of recorded) {
    assert.equal(scene.open(bytes), "ok");
    assert.equal(scene.openOf(peer), "ok");
  }
});

test("recordings of the dead push out nobody who is heard again and again", () => {
  const scene = new Scene();
  const { peer } = scene;
  let tried = 0;
  for (let times = 0; times < 3; times++) {
    assert.equal(scene.openOf(peer), "ok");
    scene.exhaust();
    // As many as can be tried until the peer would count as down.
    for (const endMs = scene.nowMs + limits.downAfterMs; scene.nowMs < endMs; ) {
      scene.nowMs += 1;
      for (let each = 0; each < limits.bootTrialsPerMs; each++) {
        assert.equal(scene.openOfUnknown(), "ok");
        tried += 1;
      }
    }
    assert.equal(scene.openOfUnknown(), "boots_throttled");
    assert.equal(scene.openOf(peer), "ok");
  }
  assert(tried > 2 * limits.subKeysMax);
});
