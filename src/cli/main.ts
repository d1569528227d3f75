import yargs from "yargs";
import { readVersion } from "../daemon/version.ts";
import { configCommand } from "./commands/config.ts";
import { demoCommand } from "./commands/demo.ts";
import { destroyCommand } from "./commands/destroy.ts";
import { getCommand } from "./commands/get.ts";
import { keygenCommand } from "./commands/keygen.ts";
import { keysCommand } from "./commands/keys.ts";
import { listCommand } from "./commands/list.ts";
import { logoutCommand } from "./commands/logout.ts";
import { peersCommand } from "./commands/peers.ts";
import { rotateCommand } from "./commands/rotate.ts";
import { setCommand } from "./commands/set.ts";
import { startCommand } from "./commands/start.ts";
import { statsCommand } from "./commands/stats.ts";
import { watchCommand } from "./commands/watch.ts";
import { tolerateClosedPipes } from "./output.ts";
import { protectWords } from "./plain-words.ts";
import { reportCrashes, reportError } from "./report-error.ts";
import { discreet, UsageError } from "./usage-error.ts";

/** Runs one command; ends with `process.exitCode` set: 0, 1 (it failed) or 2 (wrong usage). */
export async function main(argv: readonly string[]): Promise<void> {
  tolerateClosedPipes();
  reportCrashes();
  try {
    await createParser(argv).parseAsync();
  } catch (error) {
    process.exitCode = reportError(error);
  }
}

const columnsMax = 100;

function createParser(argv: readonly string[]) {
  return yargs(protectWords(argv))
    .scriptName("sessioncast")
    .usage("$0 <command>\n\nSession replication between app servers, without a server.")
    .version(readVersion())
    .locale("en")
    .wrap(Math.min(columnsMax, process.stdout.columns ?? columnsMax))
    .command(startCommand)
    .command(statsCommand)
    .command(peersCommand)
    .command(getCommand)
    .command(setCommand)
    .command(destroyCommand)
    .command(rotateCommand)
    .command(listCommand)
    .command(logoutCommand)
    .command(watchCommand)
    .command(keygenCommand)
    .command(keysCommand)
    .command(configCommand)
    .command(demoCommand)
    .demandCommand(1, "name a command")
    .recommendCommands()
    .strict()
    .check(refuseRepeated)
    .exitProcess(false)
    .fail((message, error) => {
      const isUsage = error === undefined || error.name === "YError";
      throw isUsage ? new UsageError(discreet(message)) : error;
    })
    .epilogue("sessioncast <command> --help shows the options and examples of a command.");
}

/** The parser makes a list of what is given twice, where every command expects one value. */
function refuseRepeated(parsed: Readonly<Record<string, unknown>>): true {
  const repeated = Object.keys(parsed).find(
    (name) => name !== "_" && name !== "attributes" && Array.isArray(parsed[name]),
  );
  if (repeated === undefined) return true;
  throw new UsageError(`--${repeated} is given twice`);
}
