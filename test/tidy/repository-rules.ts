import type { Violation } from "./rule.ts";
import { lineAt, scanSource } from "./source-text.ts";
import type { SourceFile } from "./tree.ts";

const runtimeDependencies = ["lru-cache", "msgpackr", "yargs"];
const topLevelFolders = ["src", "test", "config", "bin"];
const topLevelFiles = [
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
  "SECURITY.md",
];

interface Manifest {
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, { resolved?: string; integrity?: string }>>;
}

export function parseManifest(text: string): Manifest {
  return JSON.parse(text) as Manifest;
}

export function dependenciesAreThree(manifestText: string): Violation[] {
  const manifest = parseManifest(manifestText);
  const found = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }).sort();
  const violations: Violation[] = [];
  const violate = (fact: string) => violations.push({ path: "package.json", line: 1, fact });
  if (found.join() !== runtimeDependencies.join()) {
    violate(`depends on ${found.join(", ")}; agreed are ${runtimeDependencies.join(", ")}`);
  }
  for (const script of ["preinstall", "install", "postinstall"]) {
    if (manifest.scripts[script] !== undefined) violate(`runs a script on ${script}`);
  }
  return violations;
}

export function topLevelIsAgreed(paths: readonly string[]): Violation[] {
  const strangers = paths.filter((path) => {
    const [top = "", ...rest] = path.split("/");
    if (top.startsWith(".")) return false;
    return !(rest.length > 0 ? topLevelFolders : topLevelFiles).includes(top);
  });
  return strangers.map((path) => ({ path, line: 1, fact: "is not agreed at the top level" }));
}

/** Assertions on a limit do not count as a use: they hold whether or not anything obeys it. */
export function deadLimits(
  names: readonly string[],
  limitsPath: string,
  sources: readonly SourceFile[],
): Violation[] {
  const used = new Set<string>();
  for (const { path, text } of sources.filter((source) => source.path.startsWith("src/"))) {
    const { code } = scanSource(text);
    const counted = path === limitsPath ? code.replace(/\bassert\([\s\S]*?\);/g, "") : code;
    for (const match of counted.matchAll(/[lL]imits\s*\.\s*(\w+)/g)) used.add(match[1] ?? "");
    for (const match of counted.matchAll(/\{([^{}]*)\}\s*=\s*limits\b/g)) {
      for (const name of (match[1] ?? "").match(/\w+/g) ?? []) used.add(name);
    }
  }
  return names
    .filter((name) => !used.has(name))
    .map((name) => ({ path: limitsPath, line: 1, fact: `nothing obeys limits.${name}` }));
}

/** A lock that names a registry would send every installation to the one that made the lock. */
export function lockNamesNoRegistry(lockText: string): Violation[] {
  const { packages } = JSON.parse(lockText) as Lock;
  return Object.entries(packages).flatMap(([name, entry]) => {
    const facts: string[] = [];
    if (entry.resolved !== undefined) facts.push(`${name} is resolved to ${entry.resolved}`);
    if (name !== "" && entry.integrity === undefined) facts.push(`${name} has no integrity hash`);
    return facts.map((fact) => ({ path: "package-lock.json", line: 1, fact }));
  });
}

/** Paths of the machine on which something was made mean nothing on any other. */
export function noMachinePaths({ path, text }: SourceFile): Violation[] {
  // Also kept apart here, so that this file does not violate its own rule.
  const pattern = new RegExp(`(?<![\\w.~\\-/])/(?:${["work", "root"].join("|")})/`, "g");
  return [...text.matchAll(pattern)].map((match) => ({
    path,
    line: lineAt(text, match.index),
    fact: `names a path of one machine (${match[0]})`,
  }));
}

/** What package.json points to, and the configuration that the daemon is shipped with. */
export function filesToPublish(manifest: Manifest): string[] {
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === "string" ? [target] : Object.values(target),
  );
  const all = [...Object.values(manifest.bin), ...targets, "config/sessioncast.json", "LICENSE"];
  return [...new Set(all.map((path) => path.replace(/^\.\//, "")))];
}

export function packageIsComplete(packed: readonly string[], manifest: Manifest): Violation[] {
  const missing = filesToPublish(manifest)
    .filter((path) => !packed.includes(path))
    .map((path) => ({ path, line: 1, fact: "is missing from the package" }));
  const unwanted = packed
    .filter((path) => /(?:^|\/)test\/|\.test\./.test(path))
    .map((path) => ({ path, line: 1, fact: "does not belong into the package" }));
  return [...missing, ...unwanted];
}

export function changelogNamesVersion(changelog: string, version: string): Violation[] {
  const headings = changelog.split("\n").filter((line) => line.startsWith("## "));
  if (headings.some((line) => line.split(/\s+/)[1] === version)) return [];
  return [{ path: "CHANGELOG.md", line: 1, fact: `has no heading for ${version}` }];
}
