/** A rule that cannot fail proves nothing: each meets a planted fault, and a look-alike of it. */
import { equal, match } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { roomDoors } from "./door-rules.ts";
import { oneFileOwnsTheTimers, pureRoomsStayPure } from "./purity-rules.ts";
import type { SourceRule } from "./rule.ts";
import { assertionsTellNoState } from "./secret-rules.ts";
import {
  filesAreNamedAfterTheirContent,
  filesAreShort,
  linesAreShort,
  noBarrels,
  noDefaultExports,
  nothingLeftBehind,
} from "./shape-rules.ts";
import { repositoryRoot } from "./tree.ts";

/** In two parts, so that whoever searches for exclusive tests does not find this file. */
const exclusive = ["test", "only"].join(".");

type Plant = readonly [path: string, text: string];

/** Every fault is exactly one violation; a look-alike is none. */
function plant(name: string, rule: SourceRule, faults: readonly Plant[], fine: readonly Plant[]) {
  test(name, () => {
    for (const [path, text] of faults) equal(rule(path, text).length, 1, `${path}: ${text}`);
    for (const [path, text] of fine) equal(rule(path, text).length, 0, `${path}: ${text}`);
  });
}

plant(
  "a door that does not exist is noticed",
  roomDoors,
  [
    ["src/base/prng.ts", 'import { limits } from "../protocol/limits.ts";'],
    ["src/session/stamp.ts", 'import type { Frame } from "../protocol/frames.ts";'],
    ["src/protocol/frames.ts", 'export type { Replica } from "../core/replica.ts";'],
    ["src/core/store/records.ts", 'import { seal } from "../../wire/seal.ts";'],
    ["src/core/replica.ts", 'import { createSocket } from "node:dgram";'],
    ["src/core/replica.ts", 'import { pack } from "msgpackr/pack";'],
    ["src/client/connection.ts", 'import { unpack } from "msgpackr";'],
    ["src/api/framing.ts", 'import { Unpackr } from "msgpackr/unpack";'],
    ["src/core/replica.ts", 'type Driver = import("../net/driver.ts").Driver;'],
    ["src/core/replica.ts", 'import { assert } from "../base/assert.js";'],
    ["src/core/replica.ts", 'export * from "../api/service.ts";'],
    ["src/core/replica.ts", 'import { plan } from "../../test/support/plan.ts";'],
    ["src/wire/seal.ts", 'import { createSocket } from "node:dgram";'],
    ["src/wire/seal.ts", 'import { randomBytes } from "crypto";'],
    ["src/core/store/records.ts", 'import { LRUCache } from "lru-cache";'],
    ["src/net/driver.ts", 'import { connect } from "node:net";'],
    ["src/net/driver.ts", 'import { Server } from "../api/server.ts";'],
    ["src/daemon/start.ts", 'import { createServer } from "node:http";'],
    ["src/daemon/start.ts", 'import { main } from "../cli/main.ts";'],
    ["src/client/connect.ts", 'import { Replica } from "../core/replica.ts";'],
    ["src/adapters/express.ts", 'import session from "express-session";'],
    ["src/cli/main.ts", "const verb = await import(place);"],
    ["src/cli/main.ts", `const verb = await import(${"`./commands/$"}{name}.ts${"`"});`],
    ["src/cli/main.ts", 'import "../net/driver.ts";'],
    ["src/attic/relic.ts", ""],
    ["src/loose.ts", ""],
  ],
  [
    ["src/base/ring.ts", 'import { assert } from "./assert.ts";'],
    ["src/core/store/records.ts", 'import { stampOrder } from "../../session/stamp.ts";'],
    ["src/core/replica.ts", '// from "../wire/seal.ts"\nconst text = Array.from("../wire/a.ts");'],
    ["src/core/replica.ts", "const text = 'import \"node:net\"';"],
    ["src/wire/seal.ts", 'import { createCipheriv } from "node:crypto";'],
    ["src/client/connect.ts", 'import { connect } from "node:net";'],
    ["src/client/values.ts", 'import { Packr, Unpackr } from "msgpackr";'],
    ["src/client/near-cache.ts", 'import { LRUCache } from "lru-cache";'],
    ["src/daemon/start.ts", 'import { Driver } from "../net/driver.ts";'],
    ["src/cli/main.ts", 'const { default: yargs } = await import("yargs/helpers");'],
    ["test/cluster/namespace.ts", 'import { connect } from "node:net";'],
  ],
);

plant(
  "a clock, chance or process in a pure room is noticed",
  pureRoomsStayPure,
  [
    ["src/core/replica.ts", "const at = Date.now();"],
    ["src/core/replica.ts", "const at = new Date();"],
    ["src/base/prng.ts", "const chance = Math.random();"],
    ["src/base/prng.ts", "crypto.getRandomValues(bytes);"],
    ["src/session/stamp.ts", "setTimeout(expire, 10);"],
    ["src/session/stamp.ts", "setInterval(expire, 10);"],
    ["src/session/stamp.ts", "setImmediate(expire);"],
    ["src/session/stamp.ts", "queueMicrotask(expire);"],
    ["src/protocol/limits.ts", "const at = performance.now();"],
    ["src/protocol/limits.ts", "const home = process.env;"],
    ["src/protocol/limits.ts", "const odd = globalThis;"],
    ["src/core/store/records.ts", "let bytes: Buffer;"],
    ["src/core/store/records.ts", "async function load() {}"],
    ["src/core/store/records.ts", "const text = `at ${" + "Date.now()}`;"],
    ["src/core/store/records.ts", '/// <reference types="node" />'],
  ],
  [
    [
      "src/core/replica.ts",
      "// Date.now() is not for us; await nothing.\nconst date = now.wallMs;",
    ],
    ["src/core/replica.ts", 'const text = "Date.now(), process.exit, Buffer";'],
    ["src/core/replica.ts", "const pattern = /await|Date/; this.process.start();"],
    ["src/core/replica.ts", "const bytes = new ArrayBuffer(8); const asyncGap = 1;"],
    ["src/net/driver.ts", "const at = Date.now();"],
  ],
);

plant(
  "a second owner of timers in the network is noticed",
  oneFileOwnsTheTimers,
  [
    ["src/net/sockets.ts", "setTimeout(again, 10);"],
    ["src/net/sockets.ts", 'const wait = "a"; setInterval(again, 10);'],
    ["src/net/multicast/joins.ts", "setImmediate(again);"],
  ],
  [
    ["src/net/driver.ts", "setTimeout(tick, 10);"],
    ["src/net/sockets.ts", "// setTimeout is for the driver"],
    ["src/client/connect.ts", "setTimeout(again, 10);"],
  ],
);

plant(
  "an assertion that tells of a session is noticed",
  assertionsTellNoState,
  [
    ["src/core/replica.ts", "assert(held, `no record of ${" + "id}`);"],
    ["src/core/replica.ts", 'assert(held.get(id), "no record of " + id);'],
    ["src/core/replica.ts", "assert(\n  held,\n  id,\n);"],
    ["src/core/replica.ts", "assert(held);"],
    ["src/core/replica.ts", 'assert(has(a, "b"));'],
    ["src/api/server.ts", "throw new AssertionError(id);"],
    ["src/daemon/log.ts", "write(inspect(record));"],
  ],
  [
    ["src/core/replica.ts", 'assert(held.get(a, b) !== undefined, "there is a record");'],
    ["src/core/replica.ts", 'assert(\n  [a, b].length > 0,\n  "there is one",\n);'],
    ["src/base/assert.ts", "throw new AssertionError(rule);"],
    ["src/core/replica.ts", "// assert(id)"],
    ["test/unit/replica.test.ts", "assert(held, id);"],
  ],
);

plant(
  "a name that says nothing is noticed",
  filesAreNamedAfterTheirContent,
  [
    ["src/base/utils.ts", ""],
    ["src/core/index.ts", ""],
    ["src/wire/frame-types.ts", ""],
    ["test/support/helpers.ts", ""],
    ["src/core/ReplicaState.ts", ""],
    ["test/unit/replica_state.test.ts", ""],
  ],
  [
    ["src/core/replica.ts", ""],
    ["src/session/hybrid-clock.ts", ""],
    ["test/unit/hybrid-clock.test.ts", ""],
    ["bin/sessioncast.js", ""],
  ],
);

plant(
  "a long file is noticed",
  filesAreShort,
  [["src/core/replica.ts", "line\n".repeat(401)]],
  [
    ["src/core/replica.ts", "line\n".repeat(400)],
    ["test/unit/replica.test.ts", "line\n".repeat(401)],
  ],
);

plant(
  "a long line is noticed",
  linesAreShort,
  [["src/core/replica.ts", `short\n${"x".repeat(101)}\nshort`]],
  [
    ["src/core/replica.ts", "x".repeat(100)],
    ["src/core/replica.ts", "\u{1f331}".repeat(100)],
  ],
);

plant(
  "a barrel is noticed",
  noBarrels,
  [
    ["src/core/all.ts", 'export { Replica } from "./replica.ts";\nexport * from "./store.ts";\n'],
    ["src/core/all.ts", 'import { Replica } from "./replica.ts";\nexport { Replica };\n'],
    ["src/core/all.ts", '// All of it.\nexport type { Replica } from "./replica.ts";\n'],
  ],
  [
    ["src/core/own.ts", 'export { Replica } from "./replica.ts";\nexport const own = 1;\n'],
    ["src/core/own.ts", "export {};\n"],
    ["bin/sessioncast.js", 'import "../dist/src/cli/main.js";\n'],
  ],
);

plant(
  "a default export is noticed",
  noDefaultExports,
  [
    ["src/core/replica.ts", "export default class Replica {}"],
    ["src/core/replica.ts", "class Replica {}\nexport { Replica as default };"],
  ],
  [
    ["src/core/replica.ts", '// export default\nexport const text = "export default";'],
    ["src/cli/main.ts", 'const { default: yargs } = await import("yargs");'],
  ],
);

plant(
  "what was left behind is noticed",
  nothingLeftBehind,
  [
    ["src/core/replica.ts", 'console.log("here");'],
    ["src/core/replica.ts", "const peer = entry as any;"],
    ["test/unit/replica.test.ts", `${exclusive}("one", check);`],
    ["test/unit/replica.test.ts", 'test("one", { only: true }, check);'],
    ["src/core/replica.ts", "// TODO: the rest\n"],
    ["src/core/replica.ts", "/* The rest: FIXME */"],
    ["src/core/replica.ts", "const a = 1; // XXX"],
    ["src/core/replica.ts", "const HACK = 1;"],
  ],
  [
    ["src/core/replica.ts", 'const text = "console.log TODO as any .only(";'],
    ["src/core/replica.ts", "const text = `TODO ${" + "one} FIXME`; this.console.write();"],
    ["src/core/replica.ts", "const quote = /[\"'`/]/; // console.log is banned"],
    ["src/core/replica.ts", "const share = total / 2; const other = 'HACK' / 3;"],
  ],
);

test("a long function is noticed by the linter, with the configuration of this repository", () => {
  const folder = mkdtempSync(join(tmpdir(), "sessioncast-tidy-"));
  try {
    const body = "  sum += 1;\n".repeat(71);
    mkdirSync(join(folder, "src"));
    cpSync(join(repositoryRoot, ".biome.json"), join(folder, ".biome.json"));
    writeFileSync(
      join(folder, "src", "long.ts"),
      `let sum = 0;\nexport function long(): number {\n${body}  return sum;\n}\n`,
    );
    const biome = join(repositoryRoot, "node_modules", ".bin", "biome");
    const lint = spawnSync(biome, ["lint", "--colors=off", "."], { cwd: folder, encoding: "utf8" });
    equal(lint.status, 1);
    match(lint.stdout + lint.stderr, /src\/long\.ts.*noExcessiveLinesPerFunction/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
