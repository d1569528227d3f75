import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { OperatorError } from "../../src/base/operator-error.ts";
import {
  type ConfigurationSources,
  loadConfiguration,
  resolveNodeName,
} from "../../src/daemon/configuration.ts";
import {
  type ConfigurationKey,
  configurationKeys,
  schema,
} from "../../src/daemon/configuration-schema.ts";
import { environmentName } from "../../src/daemon/configuration-sources.ts";

const directory = mkdtempSync(join(tmpdir(), "sessioncast-configuration-"));
after(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
function fileOf(content: unknown): string {
  const file = join(directory, `${files++}.json`);
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

function load(sources: Partial<ConfigurationSources> = {}) {
  return loadConfiguration({ environment: {}, flags: {}, ...sources });
}

function refusal(sources: Partial<ConfigurationSources>): OperatorError {
  try {
    load(sources);
  } catch (error) {
    assert.ok(error instanceof OperatorError, String(error));
    return error;
  }
  return assert.fail("it was accepted");
}

/** Tests run compiled, from dist/test/unit. */
const shipped = new URL("../../../config/", import.meta.url);

describe("defaults", () => {
  test("the shipped file equals the defaults of the schema, key for key", () => {
    const file: unknown = JSON.parse(readFileSync(new URL("sessioncast.json", shipped), "utf8"));
    assert.deepEqual(file, load().configuration);
  });

  test("the page of keys has a row with the default of each key, and no other row", () => {
    const page = readFileSync(new URL("README.md", shipped), "utf8");
    const rows = [...page.matchAll(/^\| `([^`]+)` *\|[^|]*\| ([^|]*?) *\|/gm)];
    assert.deepEqual(
      rows.map(([, key]) => key),
      configurationKeys,
    );
    for (const [, key, shown] of rows) {
      const value = schema[key as ConfigurationKey].default;
      const expected = String(value) === "" ? /^empty: / : new RegExp(`^\`${value}\`$`);
      assert.match(shown ?? "", expected, key);
    }
  });

  test("every default is a value that its own setting allows", () => {
    for (const key of configurationKeys) {
      assert.equal(schema[key].read(schema[key].default), schema[key].default, key);
    }
  });

  test("the nested configuration holds each key under its own name", () => {
    const environment = Object.fromEntries(
      configurationKeys.map((key) => [environmentName(key), otherValueOf(key)]),
    );
    const { configuration, entries, origins } = load({ environment });
    for (const { key, value, origin } of entries) {
      const [section = "", name] = key.split(".");
      const top: Record<string, unknown> = { ...configuration };
      const found =
        name === undefined ? top[section] : (top[section] as Record<string, unknown>)[name];
      assert.equal(found, value, key);
      assert.equal(String(value), otherValueOf(key), key);
      assert.equal(origin, "environment");
      assert.equal(origins[key], "environment");
    }
  });
});

/** A valid value that no other key has, so that two mixed up keys are seen. */
function otherValueOf(key: ConfigurationKey): string {
  const at = configurationKeys.indexOf(key);
  if (key === "gossip.group") return "224.0.1.9";
  if (key === "gossip.mode") return "unicast";
  if (key === "log.level") return "warn";
  if (key === "gossip.faultDropRate") return "0.25";
  if (key === "gossip.ttl") return "77";
  if (key === "local.busyPollMicros") return "777";
  if (key === "local.socketMode") return "0600";
  if (key === "local.statsSocketMode") return "0640";
  if (key === "local.directoryMode") return "0700";
  const value = schema[key].default;
  if (typeof value === "boolean") return String(!value);
  return typeof value === "number"
    ? String(key === "gossip.port" ? 1_000 + at : 4_000_000 + at)
    : `other-${at}`;
}

describe("precedence", () => {
  const file = fileOf({ cluster: "of-file", gossip: { port: 1001 }, log: { level: "warn" } });
  const environment = { SESSIONCAST_GOSSIP_PORT: "1002", SESSIONCAST_LOG_LEVEL: "error" };
  const flags = { "log.level": "debug" } as const;

  test("defaults < file < environment < flags, and each origin is told", () => {
    const { configuration, origins } = load({ file, environment, flags });
    assert.equal(configuration.sessions.idleMs, 1_800_000);
    assert.equal(configuration.cluster, "of-file");
    assert.equal(configuration.gossip.port, 1002);
    assert.equal(configuration.log.level, "debug");
    assert.equal(origins["sessions.idleMs"], "default");
    assert.equal(origins.cluster, "file");
    assert.equal(origins["gossip.port"], "environment");
    assert.equal(origins["log.level"], "flag");
  });

  test("SESSIONCAST_CONFIG names the file; --config wins over it", () => {
    const other = fileOf({ cluster: "of-flag" });
    const named = { SESSIONCAST_CONFIG: file };
    assert.equal(load({ environment: named }).configuration.cluster, "of-file");
    assert.equal(load({ environment: named, file: other }).configuration.cluster, "of-flag");
    assert.equal(
      load({ environment: { SESSIONCAST_CONFIG: "" } }).configuration.cluster,
      "default",
    );
  });

  test("a flag that was not given does not hide weaker sources", () => {
    const { configuration } = load({ file, flags: { cluster: undefined } });
    assert.equal(configuration.cluster, "of-file");
  });

  test("a wrong value is an error even where a stronger source overrides it", () => {
    const wrong = fileOf({ gossip: { port: "1001" } });
    assert.match(refusal({ file: wrong, environment }).fact, /^gossip\.port is "1001"/);
  });
});

describe("environment", () => {
  test("names are the keys in upper snake", () => {
    assert.equal(
      environmentName("gossip.receiveBufferBytes"),
      "SESSIONCAST_GOSSIP_RECEIVE_BUFFER_BYTES",
    );
    assert.equal(environmentName("sessions.idleMs"), "SESSIONCAST_SESSIONS_IDLE_MS");
  });

  test("SESSIONCAST_SOCKET is local.socket", () => {
    const { configuration } = load({ environment: { SESSIONCAST_SOCKET: "/run/s.sock" } });
    assert.equal(configuration.local.socket, "/run/s.sock");
  });

  test("where credentials are is told by a variable of the service manager", () => {
    const directory = (environment: ConfigurationSources["environment"]) =>
      load({ environment }).credentialsDirectory;
    const given = "/run/credentials/sessioncast.service";
    assert.equal(directory({ CREDENTIALS_DIRECTORY: given }), given);
    assert.equal(directory({ CREDENTIALS_DIRECTORY: "" }), undefined);
    assert.equal(directory({}), undefined);
  });

  test("both names of the socket agree or are refused", () => {
    const environment = { SESSIONCAST_SOCKET: "/a", SESSIONCAST_LOCAL_SOCKET: "/b" };
    assert.match(refusal({ environment }).fact, /SESSIONCAST_SOCKET.*SESSIONCAST_LOCAL_SOCKET/);
    assert.equal(
      load({ environment: { ...environment, SESSIONCAST_SOCKET: "/b" } }).configuration.local
        .socket,
      "/b",
    );
  });

  test("an unknown variable is an error that names the nearest", () => {
    const error = refusal({ environment: { SESSIONCAST_GOSIP_PORT: "1" } });
    assert.equal(error.code, "E_CONFIG_KEY");
    assert.match(error.fact, /SESSIONCAST_GOSIP_PORT/);
    assert.match(error.remedy, /SESSIONCAST_GOSSIP_PORT$/);
  });

  test("variables of other programs are left alone", () => {
    const { origins } = load({ environment: { SESSIONCASTER: "1", PATH: "/bin" } });
    assert.deepEqual(new Set(Object.values(origins)), new Set(["default"]));
  });
});

describe("the file", () => {
  test("one that is named but missing is an error with its name", () => {
    const missing = join(directory, "missing.json");
    const error = refusal({ file: missing });
    assert.equal(error.code, "E_CONFIG_FILE");
    assert.ok(error.fact.includes(missing) && error.fact.includes("ENOENT"), error.fact);
  });

  const malformed: readonly (readonly [string, string])[] = [
    ['{\n  "cluster": x\n}', "line 2, column 14"],
    ['{ "cluster": "a", }', "line 1, column 19"],
    ['{ "cluster": "a"', "line 1, column 17"],
    ["", "line 1, column 1"],
    ['{ "cluster": "a" } {', "line 1, column 20"],
    ['{ "cluster": "\\q" }', "line 1, column 14"],
    ['{\r\n\t"gossip": { "port": 01 } }', "line 2, column 22"],
    ["[".repeat(200_000), "line 1, column 200001"],
  ];
  for (const [text, position] of malformed) {
    test(`malformed JSON is located: ${JSON.stringify(text.slice(0, 30))}`, () => {
      const file = fileOf(text);
      const error = refusal({ file });
      assert.equal(error.code, "E_CONFIG_JSON");
      assert.equal(error.fact, `the configuration file ${file} is not valid JSON at ${position}`);
    });
  }

  test("a byte order mark is no fault", () => {
    assert.equal(load({ file: fileOf('\ufeff{ "cluster": "a" }') }).configuration.cluster, "a");
  });

  for (const content of [[], null, "text", 7]) {
    test(`it holds an object, not ${JSON.stringify(content)}`, () => {
      assert.equal(refusal({ file: fileOf(JSON.stringify(content)) }).code, "E_CONFIG_JSON");
    });
  }
});

describe("keys of the file", () => {
  const unknownKeys: readonly (readonly [unknown, string, string])[] = [
    [{ gossip: { prot: 1 } }, "gossip.prot = 1", "gossip.port"],
    [{ port: 7 }, "port = 7", "gossip.port"],
    [{ gosip: { port: 1 } }, 'gosip = {"port":1}', "gossip"],
    [{ Cluster: "a" }, 'Cluster = "a"', "cluster"],
    [{ sessions: { idleMS: 5 } }, "sessions.idleMS = 5", "sessions.idleMs"],
  ];
  for (const [content, shown, nearest] of unknownKeys) {
    test(`an unknown key is an error: ${JSON.stringify(content)}`, () => {
      const file = fileOf(content);
      const error = refusal({ file });
      assert.equal(error.code, "E_CONFIG_KEY");
      assert.equal(error.fact.replace(/\(.*/, "").trim(), `${shown}`);
      assert.ok(error.fact.includes(file), error.fact);
      assert.ok(error.remedy.endsWith(` ${nearest}`), error.remedy);
    });
  }

  test("names of the language's own are no keys", () => {
    for (const name of ["__proto__", "constructor", "toString"]) {
      const file = fileOf(`{ "${name}": { "x": 1 } }`);
      assert.equal(refusal({ file }).code, "E_CONFIG_KEY", name);
    }
  });

  test("a key with a dot is told to be nested", () => {
    const error = refusal({ file: fileOf({ "gossip.port": 1 }) });
    assert.ok(error.remedy.includes('{ "gossip": { "port": ... } }'), error.remedy);
  });

  test("a section that is no object is an error", () => {
    assert.match(refusal({ file: fileOf({ gossip: 7 }) }).fact, /^gossip is 7 .*section$/);
  });

  test("texts of the file are not read as numbers", () => {
    assert.match(refusal({ file: fileOf({ gossip: { port: "1" } }) }).fact, /^gossip\.port is "1"/);
    assert.equal(refusal({ file: fileOf({ node: 7 }) }).code, "E_CONFIG_VALUE");
  });

  test("a control character in a key does not reach the terminal", () => {
    for (const key of ["\u001b[2J", "\u007f", "\u009b2J", "\u2028", "\u202eedon"]) {
      const inFile = refusal({ file: fileOf({ [key]: 1 }) });
      const inSection = refusal({ file: fileOf({ gossip: { [key]: key } }) });
      const inEnvironment = refusal({ environment: { [`SESSIONCAST_${key}`]: "1" } });
      for (const { message } of [inFile, inSection, inEnvironment]) {
        assert.doesNotMatch(message, /[\p{Cc}\p{Cf}\p{Zl}]/u);
      }
    }
  });
});

describe("values", () => {
  const groups = ["224.0.0.0", "239.255.255.255", "ff02::1", "ff15::5343"];
  const interfaces = ["auto", "eth0", "10.0.0.7", "Ethernet 2", "::1", "fe80::1%eth0"];
  const oddModes = ["", "0", "0x1b0", "00660", "0o660", "rw-rw----", " 0660", "2660", "1660"];
  const socketModesRefused = [...oddModes, "0666", "0662", "0664", "0661", "0670", "0760", "0060"];
  const directoryModesRefused = [...oddModes, "0755", "0751", "0777", "1750", "0650", "0070"];
  const peersRefused = ["a,", "a:0", "a:65536", "a b", "a:b", "[::1", "http://a"];
  const cases: readonly (readonly [ConfigurationKey, readonly string[], readonly string[]])[] = [
    ["node", ["", "a", "App-1.example_x", "x".repeat(64)], ["a b", "ä", "x".repeat(65), "a/b"]],
    ["cluster", ["a"], ["", "a b"]],
    ["local.socket", ["", "/run/a b.sock"], ["x".repeat(104), "a\0b"]],
    ["local.socketMode", ["0660", "660", "0600", "0620", "0640"], socketModesRefused],
    ["local.statsSocketMode", ["0660", "600"], socketModesRefused],
    ["local.directoryMode", ["0750", "700", "0710", "0770"], directoryModesRefused],
    ["local.insecureDirectory", ["true", "false"], ["yes", ""]],
    ["local.statsSocket", ["", "/run/stats.sock"], ["x".repeat(104), "a\0b"]],
    ["local.busyPollMicros", ["0", "10000"], ["10001", "-1", "0.5", "50us", ""]],
    ["gossip.mode", ["multicast", "unicast"], ["", "broadcast", "Unicast"]],
    ["gossip.peers", ["", "a", "a.b-c:1,10.0.0.7", "[::1]:9,::1,[fe80::1%eth0]"], peersRefused],
    ["gossip.group", groups, ["223.1.1.1", "240.0.0.1", "fd00::1", "ff02::1%eth0", "ff02:::1", ""]],
    ["gossip.port", ["1", "65535"], ["0", "65536", "-1", "1.5", "1e3", "", " 1", "0x10"]],
    ["gossip.interface", interfaces, ["", "10.0.0", "a\nb", " a", "fe80::g"]],
    ["gossip.ttl", ["0", "255"], ["256"]],
    ["gossip.keyFile", ["", "/etc/sessioncast/key", "a b"], ["a\0b", "x".repeat(4_096)]],
    ["gossip.insecurePlaintext", ["true", "false"], ["yes", "1", "", "TRUE"]],
    ["gossip.faultDropRate", ["0", "0.9", "0.05"], ["0.91", "1", "-0.1", ".", "NaN"]],
    ["sessions.bytesMax", ["2097152"], ["2097151", "1099511627777"]],
    ["sessions.idleMs", ["0", "1"], ["30m", "315360000001"]],
    ["log.level", ["debug", "error"], ["INFO", "trace", ""]],
  ];
  for (const [key, allowed, refused] of cases) {
    test(`${key} takes what it should and nothing else`, () => {
      const variable = environmentName(key);
      for (const value of allowed) {
        const { entries } = load({ environment: { [variable]: value } });
        const entry = entries.find((candidate) => candidate.key === key);
        assert.equal(String(entry?.value), value);
      }
      for (const value of refused) {
        const error = refusal({ environment: { [variable]: value } });
        assert.equal(error.code, "E_CONFIG_VALUE");
        assert.ok(error.fact.startsWith(`${key} is `), error.fact);
        assert.ok(error.fact.endsWith(`(environment: ${variable})`), error.fact);
        assert.equal(error.remedy, `Set it to ${schema[key].allowed}`);
      }
    });
  }

  test("what a mode must not give to everybody, it can give to a group", () => {
    const { remedy } = refusal({ file: fileOf({ local: { socketMode: "0666" } }) });
    assert.match(remedy, /"0660" \(owner and group\).*nothing for others.*into its group/);
    assert.equal(refusal({ file: fileOf({ local: { socketMode: 660 } }) }).code, "E_CONFIG_VALUE");
  });

  test("a wrong flag is named by the flag", () => {
    assert.match(refusal({ flags: { "gossip.port": "x" } }).fact, /"x" \(flag: --port\)$/);
  });

  test("a long wrong value is cut", () => {
    const error = refusal({ flags: { "log.level": "x".repeat(5_000) } });
    assert.ok(error.fact.length < 200);
  });

  test("numbers that are none are refused from the file too", () => {
    for (const port of [1.5, null, true, [1], 1e99]) {
      assert.equal(refusal({ file: fileOf({ gossip: { port } }) }).code, "E_CONFIG_VALUE");
    }
  });
});

describe("the name of the node", () => {
  test("it is the host name unless one is set", () => {
    assert.equal(resolveNodeName("", "app-1"), "app-1");
    assert.equal(resolveNodeName("b", "app-1"), "b");
  });

  test("a host name that is no valid name is an error with a remedy", () => {
    assert.throws(() => resolveNodeName("", "a b"), { code: "E_NODE_NAME" });
    assert.throws(() => resolveNodeName("", "x".repeat(65)), { code: "E_NODE_NAME" });
  });
});
