import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Consistency } from "../../src/adapters/consistency.ts";
import { OperatorError } from "../../src/base/operator-error.ts";
import { SessioncastError } from "../../src/client/errors.ts";
import { parseStamp, stampText } from "../../src/client/stamp-text.ts";
import type { ConfigurationSources } from "../../src/daemon/configuration.ts";
import { loadConfiguration } from "../../src/daemon/configuration.ts";
import { schema } from "../../src/daemon/configuration-schema.ts";
import { addKey, retireKey, useKey } from "../../src/daemon/key-file-edit.ts";
import { type KeyFileContent, nameOfKey, parseKeyFile } from "../../src/daemon/key-file-text.ts";
import { limits } from "../../src/protocol/limits.ts";
import { testKey } from "../support/test-keys.ts";
import { type Features, type FuzzTarget, sized } from "./target.ts";

/** Either a configuration in which each value is allowed, or an error that a terminal can show. */
function load(sources: ConfigurationSources): Features {
  try {
    const { entries, configuration: loaded } = loadConfiguration(sources);
    const { gossip } = loaded;
    assert(gossip.port >= 1 && gossip.port <= 65_535 && gossip.ttl >= 0 && gossip.ttl <= 255);
    assert(gossip.faultDropRate >= 0 && gossip.faultDropRate < 1 && gossip.peers.length <= 1_024);
    assert.match(loaded.node, /^[\w.-]{0,64}$/);
    for (const { key, value } of entries) assert.notEqual(schema[key].read(value), undefined, key);
    const given = entries.filter(({ origin }) => origin !== "default");
    return ["loaded", ...given.map(({ key }) => key)];
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    const text = `${error.fact}. ${error.remedy}`;
    assert(text.length < 2_000, "an error is for people");
    assert.doesNotMatch(text, /[\p{Cc}\p{Zl}\p{Zp}]/u, "a terminal may show it");
    return [error.code, `${error.code} ${error.remedy.slice(0, 60)}`];
  }
}

let directory: string | undefined;

function scratchFile(): string {
  if (directory === undefined) {
    const made = mkdtempSync(join(tmpdir(), "sessioncast-fuzz-"));
    process.once("exit", () => rmSync(made, { recursive: true, force: true }));
    directory = made;
  }
  return join(directory, "sessioncast.json");
}

const whole = {
  node: "app-1",
  cluster: "shop",
  local: { socket: "/run/s.sock" },
  gossip: {
    mode: "unicast",
    peers: ["app-2:45883", "[fe80::1%eth0]:1", "10.0.0.1"],
    port: 45_883,
    interface: "eth0",
    faultDropRate: 0.1,
    insecurePlaintext: true,
  },
  sessions: { bytesMax: 268_435_456, idleMs: 1_800_000 },
  log: { level: "warn" },
};

const configuration: FuzzTarget = {
  name: "configuration",
  about: "the configuration file: allowed values, or an error with its place",
  bytesMax: 2_048,
  executions: 700,
  corpus: () =>
    [
      JSON.stringify(whole),
      JSON.stringify(whole, null, 2),
      '{"__proto__":{"port":1},"constructor":{"name":1},"toString":1}',
      '{"gossip":{"__proto__":1,"constructor":2,"hasOwnProperty":3}}',
      '{"gossip.port":1}',
      "\ufeff{}",
      "[[[[[[",
      '{"a":1e999,"b":"\\u0000\\ud800"}',
    ].map((text) => Buffer.from(text)),
  run(input) {
    const file = scratchFile();
    writeFileSync(file, input);
    return load({ file, environment: {}, flags: {} });
  },
};

const environment: FuzzTarget = {
  name: "environment",
  about: "variables of the environment, one a line: allowed values, or an error with its place",
  bytesMax: 1_024,
  executions: 3_000,
  corpus: () =>
    [
      "SESSIONCAST_NODE=app-1\nSESSIONCAST_GOSSIP_PORT=45883\nPATH=/bin",
      "SESSIONCAST_GOSSIP_PEERS=a,b:1, [::1]:2\nSESSIONCAST_GOSSIP_FAULT_DROP_RATE=0.5",
      "SESSIONCAST_SOCKET=/a\nSESSIONCAST_LOCAL_SOCKET=/a",
      "SESSIONCAST_GOSSIP_INSECURE_PLAINTEXT=true\nSESSIONCAST_LOG_LEVEL=debug",
      "SESSIONCAST___PROTO__=1\nSESSIONCAST_CONSTRUCTOR=1",
      "SESSIONCAST_GOSSIP_INTERFACE=eth0\nSESSIONCAST_GOSSIP_GROUP=ff15::5343",
    ].map((text) => Buffer.from(text)),
  run(input) {
    const lines = input.toString().split("\n");
    const variables = lines.map((line) => {
      const divider = line.indexOf("=");
      return [line.slice(0, divider), line.slice(divider + 1)] as const;
    });
    const named = variables.filter(([name]) => name !== "SESSIONCAST_CONFIG");
    return load({ environment: Object.fromEntries(named), flags: {} });
  },
};

const keyLine = (word: string, n: number) => `${word} ${testKey(n).toString("hex")}`;

const keyFile: FuzzTarget = {
  name: "key-file",
  about: "the key file: keys that a change leaves whole, or an error that repeats none of it",
  bytesMax: 1_024,
  executions: 3_000,
  corpus: () =>
    [
      `# ours\n${keyLine("identity", 1)}\n\n  ${keyLine("use", 2)} # since May\n`,
      [keyLine("open", 3), keyLine("use", 2), keyLine("identity", 1), keyLine("open", 4)].join(
        "\n",
      ),
      `\ufeff${keyLine("identity", 1)}\r\n${keyLine("use", 2)}\r\nopen 00`,
    ].map((text) => Buffer.from(text)),
  run(input) {
    const text = input.toString();
    let content: KeyFileContent;
    try {
      content = parseKeyFile(text, "/key");
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      for (const [word] of text.matchAll(/[0-9a-f]{9,}/gi)) assert(!error.message.includes(word));
      return [`${error.code} ${error.fact.replaceAll(/\d+/g, "")}`];
    }
    const { identity, use, open, olderCount } = content;
    assert([identity, use, ...open].every(({ length }) => length === 32));
    assert(open.length < limits.keysMax && olderCount <= open.length);
    if (open.length === limits.keysMax - 1) return ["full"];
    let drawn = 100;
    const added = addKey(text, "/key", () => testKey(drawn++));
    const used = useKey(added.text, "/key", added.fingerprint);
    const back = useKey(used.text, "/key", nameOfKey(use));
    const again = retireKey(back.text, "/key", added.fingerprint);
    assert.deepEqual(parseKeyFile(again.text, "/key"), content);
    return ["read", sized("open", open.length), `older ${olderCount}`];
  },
};

const nowMs = 1_800_000_000_000;
const id = "s-1";

/** The cookie that a browser got, and what it says. */
function issued(consistency: Consistency, stamps: readonly string[]): string {
  const visit = consistency.visit(undefined);
  for (const each of stamps) consistency.noteWrite(id, each);
  const cookie = consistency.cookieFor(visit, id, nowMs);
  return `${cookie?.name}=${cookie?.value}`;
}

const stampTexts = [0, 1, 2].map((time) => stampText({ time: 911_812_147_200_000 + time, tag: 7 }));

const cookie: FuzzTarget = {
  name: "cookie",
  about: "the companion cookie of a browser: believed as it was issued, or not at all",
  bytesMax: 1_024,
  executions: 5_000,
  corpus() {
    const consistency = new Consistency({ consistencySecret: "secret" });
    const first = issued(consistency, stampTexts.slice(0, 1));
    const all = issued(consistency, stampTexts.slice(1));
    return [first, all, `a=b; ${all}; c`, `; =; ${first}`].map((text) => Buffer.from(text));
  },
  run(input) {
    const consistency = new Consistency({ consistencySecret: ["newer", "secret"] });
    const visit = consistency.visit(input.toString("latin1"));
    const stamps = consistency.atLeast(visit, id, nowMs);
    for (const each of stamps) assert(stampTexts.includes(each), "nobody can make one up");
    const next = consistency.cookieFor(visit, id, nowMs);
    assert.equal(next, undefined);
    return [sized("stamps", stamps.length), `claim ${visit.claim !== undefined}`];
  },
};

const stamp: FuzzTarget = {
  name: "stamp",
  about: "stamps that apps hand back: read as they were given, or SESSIONCAST_INVALID",
  bytesMax: 64,
  executions: 20_000,
  corpus: () => [...stampTexts, "0-0-0", "2097151--1-4294967295"].map((text) => Buffer.from(text)),
  run(input) {
    try {
      const read = parseStamp(input.toString("latin1"));
      assert(Number.isSafeInteger(read.time) && read.time >= 0 && read.tag >= 0);
      assert.deepEqual(parseStamp(stampText(read)), read);
      return [sized("time", read.time), sized("tag", read.tag)];
    } catch (error) {
      if (error instanceof SessioncastError && error.code === "SESSIONCAST_INVALID") return ["no"];
      throw error;
    }
  },
};

export const textTargets: readonly FuzzTarget[] = [
  configuration,
  environment,
  keyFile,
  cookie,
  stamp,
];
