import { readFileSync } from "node:fs";

/** From package.json, the one place where it is written; dist/src/cli is three levels below it. */
export function readVersion(): string {
  const file = new URL("../../../package.json", import.meta.url);
  const packageDescription: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (
    typeof packageDescription === "object" &&
    packageDescription !== null &&
    "version" in packageDescription
  ) {
    return String(packageDescription.version);
  }
  return "unknown";
}
