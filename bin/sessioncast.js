#!/usr/bin/env node
import { existsSync } from "node:fs";

const entry = new URL("../dist/src/cli/main.js", import.meta.url);

if (existsSync(entry)) {
  const { main } = await import(entry.href);
  await main(process.argv.slice(2));
} else {
  process.stderr.write("sessioncast: it is not built yet. Run npm run build (E_NOT_BUILT)\n");
  process.exitCode = 1;
}
