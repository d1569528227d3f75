import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runCommand as run } from "../support/command-line.ts";

/** Nearly all the time goes into starting processes. */
const together = { concurrency: 4 };

const verbs = [
  ...[
    "start",
    "stats",
    "peers",
    "get",
    "set",
    "destroy",
    "list",
    "keygen",
    "keys",
    "config",
    "demo",
  ],
];

describe("help", together, () => {
  test("the overview names every command", async () => {
    const { code, stdout, stderr } = await run(["--help"]);
    assert.equal(code, 0);
    assert.equal(stderr, "");
    for (const verb of verbs) assert.match(stdout, new RegExp(`^ {2}sessioncast ${verb}\\b`, "m"));
  });

  for (const verb of verbs) {
    test(`${verb} has examples and stays within 100 columns`, async () => {
      const { code, stdout } = await run([verb, "--help"]);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^Examples:\\n {2}sessioncast ${verb}`, "m"));
      for (const line of stdout.split("\n")) assert.ok(line.length <= 100, line);
    });
  }

  test("the version is that of the package", async () => {
    const { code, stdout } = await run(["--version"]);
    assert.equal(code, 0);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  });
});

describe("wrong usage exits with 2 and one line that says why", together, () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /name a command/],
    [["bogus-command"], /bogus-command/],
    [["statz"], /Did you mean stats\?/],
    [["stats", "--bogus"], /bogus/],
    [["stats", "--socket"], /socket/],
    [["get"], /non-option/],
    [["get", "a", "--bogus"], /bogus/],
    [["set", "a", "n=1", "--bogus"], /bogus/],
    [["get", "a", "b"], /Unknown argument: b/],
    [["set", "a"], /non-option/],
    [["set", "a", "word"], /attribute 1 is not written name=value/],
    [["set", "a", "n=1", "--idle", "30"], /"30" is no duration/],
    [["set", "--", "-Xy7", "word"], /attribute 1 is not written name=value/],
    [["set", "a", "--", "n=1", "-word"], /attribute 2 is not written name=value/],
    [["set", "a", "n=1", "word", "m=1"], /attribute 2 is not written name=value/],
    [["get", "--", "-a", "-b"], /Unknown argument: -b/],
    [["get", "a", "3kQzSecret"], /Unknown argument: 3k…076a0b\./],
    [["get", "--3kQzSecret"], /non-option/],
    [["get", "a", "-XySecret"], /write -- before words that begin with a dash/],
    [["config", "--node", "a", "--node", "b"], /--node is given twice/],
    [["list", "--limit", "0"], /--limit "0"/],
    [["keygen", "--add", "--use", "1a2b3c4d"], /mutually exclusive/],
    [["keygen", "--use", "1a2b3c4d", "--retire", "1a2b3c4d"], /mutually exclusive/],
    [["keygen", "--retire", "1a2b"], /eight hex digits/],
    [["keys", "relaod"], /Choices: "reload"/],
    [["keygen", "a", "b"], /Unknown argument: b/],
  ];
  for (const [words, reason] of cases) {
    test(`sessioncast ${words.join(" ")}`, async () => {
      const { code, stdout, stderr } = await run(words);
      assert.equal(code, 2, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, /^sessioncast: .*\(E_USAGE\)\n$/);
      assert.match(stderr, reason);
    });
  }
});

describe("config", together, () => {
  test("it prints every value and where it came from", async () => {
    const { code, stdout } = await run(["config", "--port", "1234", "--insecure-plaintext"], {
      SESSIONCAST_CLUSTER: "007",
    });
    assert.equal(code, 0);
    assert.match(stdout, /^key +value +from$/m);
    assert.match(stdout, /^gossip\.port +1234 +flag$/m);
    assert.match(stdout, /^gossip\.insecurePlaintext +true +flag$/m);
    assert.match(stdout, /^cluster +007 +environment$/m);
    assert.match(stdout, /^node +"" +default$/m);
  });

  test("a text that looks like a number keeps its zeros", async () => {
    const { stdout } = await run(["config", "--json", "--node", "007", "--cluster", "1e3"]);
    const parsed = JSON.parse(stdout);
    assert.deepEqual(parsed.node, { value: "007", origin: "flag" });
    assert.deepEqual(parsed.cluster, { value: "1e3", origin: "flag" });
    assert.deepEqual(parsed["gossip.ttl"], { value: 1, origin: "default" });
  });

  test("a mistake exits with 1, the fact, the remedy and the code, without a stack", async () => {
    const { code, stdout, stderr } = await run(["config", "--port", "x"]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.equal(
      stderr,
      'sessioncast: gossip.port is "x" (flag: --port). Set it to an integer from 1 to 65535' +
        " (E_CONFIG_VALUE)\n",
    );
  });

  test("start refuses the same before it starts anything", async () => {
    const { code, stderr } = await run(["start"], { SESSIONCAST_BOGUS: "1" });
    assert.equal(code, 1);
    assert.match(stderr, /SESSIONCAST_BOGUS.*\(E_CONFIG_KEY\)\n$/);
  });
});

describe("without a sidecar", together, () => {
  for (const words of [
    ["stats"],
    ["peers"],
    ["keys"],
    ["keys", "reload"],
    ["get", "a"],
    ["set", "a", "n=1"],
    ["list"],
  ]) {
    test(`${words.join(" ")} exits with 1 and says what to do`, async () => {
      const { code, stdout, stderr } = await run([...words, "--socket", "/nowhere/x.sock"]);
      assert.equal(code, 1);
      assert.equal(stdout, "");
      assert.match(stderr, /^sessioncast: .*sessioncast start.*\(SESSIONCAST_UNAVAILABLE\)\n$/);
    });
  }
});
