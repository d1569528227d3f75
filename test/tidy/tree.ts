import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Compiled tests live in dist/test/tidy. */
export const repositoryRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

const notTheRepository = ["node_modules", "dist", ".git"];
const sourceFolders = ["src", "test", "bin"];

export function readText(path: string): string {
  return readFileSync(join(repositoryRoot, path), "utf8");
}

export function exists(path: string): boolean {
  return existsSync(join(repositoryRoot, path));
}

function walk(folder: string): string[] {
  if (!exists(folder)) return [];
  return readdirSync(join(repositoryRoot, folder), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name).split(sep).join("/"))
    .filter((path) => statSync(join(repositoryRoot, path)).isFile())
    .sort();
}

/** Scripts of the working tree, whether they have been added to git or not. */
export function sourceFiles(): SourceFile[] {
  return sourceFolders
    .flatMap(walk)
    .filter((path) => /\.[cm]?[jt]s$/.test(path))
    .map((path) => ({ path, text: readText(path) }));
}

/**
 * What git tracks, or would track after `git add .`; so a mistake shows before it is committed.
 * Without git (an unpacked archive) it is every file, except what is installed or built.
 */
export function repositoryFiles(): string[] {
  const list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const git = spawnSync("git", list, { cwd: repositoryRoot, encoding: "utf8" });
  const listed = git.status === 0 ? git.stdout.split("\0").filter((path) => path !== "") : [];
  if (listed.length > 0) return listed.filter(exists);
  return readdirSync(repositoryRoot, { withFileTypes: true })
    .filter((entry) => !notTheRepository.includes(entry.name))
    .flatMap((entry) => (entry.isDirectory() ? walk(entry.name) : [entry.name]));
}

/** The files of the published package, or the reason why they cannot be listed. */
export function packedFiles(): readonly string[] | { readonly reason: string } {
  // Without the scripts: `prepare` would build again what is running at this moment.
  const pack = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const npm = spawnSync("npm", pack, { cwd: repositoryRoot, encoding: "utf8" });
  if (npm.error !== undefined) return { reason: "npm is not installed" };
  if (npm.status !== 0) throw new Error(`npm pack failed: ${npm.stderr}`);
  // An array up to npm 11, an object by package name after.
  const packages: unknown = JSON.parse(npm.stdout);
  const [first] = Object.values(packages as Record<string, { files: { path: string }[] }>);
  return (first?.files ?? []).map((file) => file.path);
}
