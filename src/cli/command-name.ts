import { basename, relative } from "node:path";
import { shellWord } from "../base/shell-word.ts";

/** How the user can run this program again: it may be installed, in a package or in a checkout. */
export function commandName(script = process.argv[1] ?? "", directory = process.cwd()): string {
  if (basename(script) === "sessioncast.js")
    return `node ${shellWord(shortest(script, directory))}`;
  return script.includes("/node_modules/.bin/") ? "npx sessioncast" : "sessioncast";
}

function shortest(path: string, directory: string): string {
  const relativePath = relative(directory, path);
  return relativePath.length < path.length ? relativePath : path;
}
