import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../../bin/sessioncast.js", import.meta.url));

export interface Ending {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One run of the command line, with no settings but these; `prefix` is a command that runs it. */
export function runCommand(
  words: readonly string[],
  settings: Record<string, string> = {},
  prefix: readonly string[] = [],
): Promise<Ending> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("SESSIONCAST_"),
  );
  const env = { ...Object.fromEntries(inherited), ...settings };
  return new Promise((resolve) => {
    const options = { env, timeout: 20_000 };
    const [file = "", ...argv] = [...prefix, process.execPath, program, ...words];
    const child = execFile(file, argv, options, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr });
    });
  });
}
