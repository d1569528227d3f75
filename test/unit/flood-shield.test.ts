import assert from "node:assert/strict";
import { test } from "node:test";
import { FloodShield } from "../../src/net/flood-shield.ts";
import { limits } from "../../src/protocol/limits.ts";

const members = new Set(["10.0.0.1", "10.0.0.2"]);

class Scene {
  /** Undefined: whoever sends is heard. */
  heard: ReadonlySet<string> | undefined;
  readonly events: string[] = [];
  systemTakes = true;
  known: ReadonlySet<string> = members;
  nowMs = 1_000;
  readonly shield = new FloodShield(
    {
      narrow: (hosts) => {
        this.events.push("narrow");
        this.heard = this.systemTakes ? hosts : undefined;
        return this.systemTakes;
      },
      widen: () => {
        this.events.push("widen");
        this.heard = undefined;
      },
    },
    {
      onFlood: () => this.events.push("flood"),
      onFloodOver: () => this.events.push("over"),
    },
  );

  tick(): void {
    this.shield.tick(this.nowMs, () => this.known);
  }

  pass(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += Math.min(10, endMs - this.nowMs);
      this.tick();
    }
  }

  /** So many datagrams of others, one each so many milliseconds. */
  flood(count: number, everyMs = 0.01): void {
    for (let sent = 0; sent < count; sent++) {
      this.nowMs += everyMs;
      if (this.heard === undefined && this.shield.refused(this.nowMs)) this.tick();
    }
  }

  takeEvents(): string[] {
    return this.events.splice(0);
  }
}

test("a flood is kept out until it is over, and that is told once", () => {
  const scene = new Scene();
  scene.flood(limits.floodRefusalsMax);
  assert.deepEqual(scene.takeEvents(), ["narrow", "flood"]);
  assert.deepEqual(scene.heard, members);
  for (let round = 0; round < 3; round++) {
    scene.pass(limits.floodNarrowMs - 100);
    assert.deepEqual(scene.takeEvents(), []);
    scene.pass(100);
    assert.deepEqual(scene.takeEvents(), ["widen"]);
    scene.flood(limits.floodRefusalsMax);
    assert.deepEqual(scene.takeEvents(), ["narrow"]);
  }
  assert.equal(scene.shield.narrowed, 4);
  scene.pass(limits.floodNarrowMs + limits.floodOverMs);
  assert.deepEqual(scene.takeEvents(), ["widen", "over"]);
  assert(!scene.shield.isNarrow);
});

test("little that is refused is no flood, however long it goes on", () => {
  const scene = new Scene();
  const everyMs = (limits.floodWindowMs / limits.floodRefusalsMax) * 1.01;
  for (let times = 0; times < 50; times++) {
    scene.flood(limits.floodRefusalsMax, everyMs);
    scene.tick();
  }
  assert.deepEqual(scene.takeEvents(), []);
});

test("who becomes a member meanwhile is heard soon, and who leaves is not", () => {
  const scene = new Scene();
  scene.flood(limits.floodRefusalsMax);
  scene.known = new Set(["10.0.0.2", "10.0.0.3"]);
  scene.pass(limits.floodLookMs + 10);
  assert.deepEqual(scene.heard, scene.known);
  assert.deepEqual(scene.takeEvents(), ["narrow", "flood", "narrow"]);
});

test("a node that knows nobody goes on to hear everybody", () => {
  const scene = new Scene();
  scene.known = new Set();
  scene.flood(5 * limits.floodRefusalsMax);
  assert.deepEqual(scene.takeEvents(), []);
});

test("a system that refuses is asked again, but seldom", () => {
  const scene = new Scene();
  scene.systemTakes = false;
  for (let seconds = 0; seconds < limits.floodRetryMs / 1_000; seconds++) {
    scene.flood(limits.floodRefusalsMax);
    scene.pass(900);
  }
  assert.deepEqual(scene.takeEvents(), ["narrow"]);
  assert.equal(scene.shield.narrowed, 0);
  scene.systemTakes = true;
  scene.pass(limits.floodRetryMs);
  scene.flood(limits.floodRefusalsMax);
  assert.deepEqual(scene.takeEvents(), ["narrow", "flood"]);
});
