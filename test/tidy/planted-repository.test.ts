/** Planted faults for the rules about the repository as a whole. */
import { equal, match } from "node:assert/strict";
import { test } from "node:test";
import {
  changelogNamesVersion,
  deadLimits,
  dependenciesAreThree,
  lockNamesNoRegistry,
  noMachinePaths,
  packageIsComplete,
  parseManifest,
  topLevelIsAgreed,
} from "./repository-rules.ts";
import { report } from "./rule.ts";

const agreed = { "lru-cache": "1", msgpackr: "1", yargs: "1" };

test("a dependency or an install script that was not agreed is noticed", () => {
  const judge = (manifest: object) =>
    dependenciesAreThree(JSON.stringify({ scripts: {}, dependencies: agreed, ...manifest })).length;
  equal(judge({}), 0);
  equal(judge({ dependencies: { ...agreed, leftpad: "1" } }), 1);
  equal(judge({ dependencies: { msgpackr: "1", yargs: "1" } }), 1);
  equal(judge({ optionalDependencies: { "unix-dgram": "1" } }), 1);
  equal(judge({ scripts: { postinstall: "node fetch.js" } }), 1);
  equal(judge({ devDependencies: { typescript: "1" } }), 0);
});

test("a stranger at the top level is noticed", () => {
  const fine = [
    "README.md",
    "src/base/prng.ts",
    ".ci/run",
    ".gitignore",
    "config/sessioncast.json",
  ];
  equal(report(topLevelIsAgreed(fine)), "");
  equal(topLevelIsAgreed([...fine, "notes.txt", "docs/design.md", "bench/main.ts"]).length, 3);
});

test("a limit that nothing obeys is noticed", () => {
  const limitsPath = "src/protocol/limits.ts";
  const limitsText = [
    "export const limits = { used: 1, derived: 2, taken: 3, asserted: 4, tested: 5, told: 6 };",
    "export const half = limits.derived / 2;",
    'assert(limits.asserted > 0, "a rule");',
  ].join("\n");
  const names = ["used", "derived", "taken", "asserted", "tested", "told"];
  const found = deadLimits(names, limitsPath, [
    { path: limitsPath, text: limitsText },
    { path: "src/core/a.ts", text: "if (count > limits.used) stop(); // limits.told" },
    { path: "src/core/b.ts", text: "const { taken } = limits;" },
    { path: "test/unit/a.test.ts", text: "equal(limits.tested, 5);" },
  ]);
  const dead = found.map(({ fact }) => fact).join();
  equal(dead, ["asserted", "tested", "told"].map((name) => `nothing obeys limits.${name}`).join());
});

test("a registry in the lock and a package without a hash are noticed", () => {
  const judge = (entry: object) =>
    report(lockNamesNoRegistry(JSON.stringify({ packages: { "": {}, "node_modules/a": entry } })));
  equal(judge({ version: "1.0.0", integrity: "sha512-x" }), "");
  match(
    judge({ integrity: "sha512-x", resolved: "https://registry.test/a.tgz" }),
    /registry\.test/,
  );
  match(judge({ version: "1.0.0" }), /no integrity/);
});

test("a path of one machine is noticed", () => {
  const judge = (text: string) => noMachinePaths({ path: "config/README.md", text }).length;
  const places = ["work", "root"];
  for (const place of places) equal(judge(`line\nsee "/${place}/main/notes"`), 1);
  for (const place of places) equal(judge(`https://example.test/${place}/main, ./${place}/a`), 0);
  equal(judge("/run/sessioncast.sock and /etc/sessioncast.json"), 0);
});

test("an incomplete package and a packed test are noticed", () => {
  const manifest = parseManifest(
    JSON.stringify({
      version: "1.0.0",
      bin: { sessioncast: "bin/sessioncast.js" },
      exports: { ".": { types: "./dist/a.d.ts", default: "./dist/a.js" }, "./p": "./p.json" },
    }),
  );
  const all = ["bin/sessioncast.js", "dist/a.d.ts", "dist/a.js", "p.json"];
  const whole = [...all, "config/sessioncast.json", "LICENSE"];
  equal(report(packageIsComplete(whole, manifest)), "");
  equal(report(packageIsComplete(whole.slice(1), manifest)).split(":")[0], "bin/sessioncast.js");
  equal(packageIsComplete([...whole, "dist/test/run.js", "src/a.test.ts"], manifest).length, 2);
});

test("a version that the changelog does not know is noticed", () => {
  const changelog = "# Changelog\n\n## 0.2.0 — unreleased\n\nSince 0.1.0: ...\n";
  equal(changelogNamesVersion(changelog, "0.2.0").length, 0);
  equal(changelogNamesVersion(changelog, "0.1.0").length, 1);
});
