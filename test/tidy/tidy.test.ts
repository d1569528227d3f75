/** The house rules, held against the working tree. That each can fail: see planted.test.ts. */
import { deepEqual, fail } from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../src/protocol/limits.ts";
import { roomDoors } from "./door-rules.ts";
import { oneFileOwnsTheTimers, pureRoomsStayPure } from "./purity-rules.ts";
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
import { report, type SourceRule, type Violation } from "./rule.ts";
import { assertionsTellNoState } from "./secret-rules.ts";
import {
  filesAreNamedAfterTheirContent,
  filesAreShort,
  linesAreShort,
  noBarrels,
  noDefaultExports,
  nothingLeftBehind,
} from "./shape-rules.ts";
import { exists, packedFiles, readText, repositoryFiles, sourceFiles } from "./tree.ts";

const sourceRules: readonly (readonly [string, SourceRule])[] = [
  ["a room imports only through its doors", roomDoors],
  ["pure rooms know no clock, chance, process or promise", pureRoomsStayPure],
  ["one file owns the timers of the network", oneFileOwnsTheTimers],
  ["assertions tell no state", assertionsTellNoState],
  ["files are named after their content", filesAreNamedAfterTheirContent],
  ["source files have at most 400 lines", filesAreShort],
  ["lines have at most 100 columns", linesAreShort],
  ["no file only passes on the exports of others", noBarrels],
  ["exports have names", noDefaultExports],
  ["nothing is left behind: console, as any, only, notes of unfinished work", nothingLeftBehind],
];

function none(violations: readonly Violation[]): void {
  if (violations.length > 0) fail(`violations:\n${report(violations)}`);
}

const sources = sourceFiles();

for (const [name, rule] of sourceRules) {
  test(name, () => none(sources.flatMap(({ path, text }) => rule(path, text))));
}

test("every limit is obeyed somewhere", () => {
  none(deadLimits(Object.keys(limits), "src/protocol/limits.ts", sources));
});

test("the runtime dependencies are the agreed three", () => {
  none(dependenciesAreThree(readText("package.json")));
});

test("the top level holds only what was agreed", () => {
  none(topLevelIsAgreed(repositoryFiles()));
});

test("the lock names no registry and has a hash for each package", () => {
  none(lockNamesNoRegistry(readText("package-lock.json")));
});

test("no file names a path of one machine", () => {
  const files = repositoryFiles().map((path) => ({ path, text: readText(path) }));
  none(files.flatMap(noMachinePaths));
});

test("the changelog has a heading for this version", () => {
  const { version } = parseManifest(readText("package.json"));
  none(changelogNamesVersion(readText("CHANGELOG.md"), version));
});

test("the published package has what it needs and no tests", (context) => {
  if (!exists("dist/src/client/connect.js")) return context.skip("the client is not built");
  const packed = packedFiles();
  if ("reason" in packed) return context.skip(packed.reason);
  none(packageIsComplete(packed, parseManifest(readText("package.json"))));
});

test("the tree that was looked at is the one of this product", () => {
  const expected = ["src/protocol/limits.ts", "test/tidy/tidy.test.ts"];
  const seen = sources.map(({ path }) => path).filter((path) => expected.includes(path));
  deepEqual(seen, expected, "an empty list of files would satisfy every rule");
});
