import type { Argv, CommandModule } from "yargs";
import { jsonOption } from "../client-session.ts";
import {
  type ConfigurationArguments,
  configurationOptions,
  loadFromArguments,
} from "../configuration-options.ts";
import { printable } from "../format.ts";
import { print, printJson } from "../output.ts";
import { formatTable } from "../table.ts";

const options = { ...configurationOptions, ...jsonOption };

export const configCommand: CommandModule<
  object,
  ConfigurationArguments & { readonly json: boolean }
> = {
  command: "config",
  describe: "Show each configuration key, its value and where it came from",
  builder: (yargs: Argv) =>
    yargs
      .options(options)
      .example("$0 config", "what start would use")
      .example("$0 config --config sessioncast.json", "with a file; finds its mistakes too")
      .example("$0 config --json", "the same for scripts"),
  handler: async (argv) => {
    const { entries } = await loadFromArguments(argv);
    if (argv.json) {
      printJson(Object.fromEntries(entries.map(({ key, ...entry }) => [key, entry])));
      return;
    }
    const rows = entries.map(({ key, value, origin }) => [key, formatValue(value), origin]);
    print(formatTable([{ title: "key" }, { title: "value" }, { title: "from" }], rows));
  },
};

function formatValue(value: unknown): string {
  const text = String(value);
  return text === "" ? '""' : printable(text);
}
