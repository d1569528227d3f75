import type { Argv, CommandModule } from "yargs";
import {
  type ConfigurationArguments,
  configurationOptions,
  loadFromArguments,
} from "../configuration-options.ts";

export const startCommand: CommandModule<object, ConfigurationArguments> = {
  command: "start",
  describe: "Run the sidecar in the foreground; no configuration is needed on one machine",
  builder: (yargs: Argv) =>
    yargs
      .options(configurationOptions)
      .example("$0 start", "one node; more on this machine need their own --node and --socket")
      .example("$0 start --node b --socket /tmp/b.sock", "a second node beside it")
      .example("$0 start --config /etc/sessioncast.json", "as a service"),
  handler: async (argv) => {
    const loaded = await loadFromArguments(argv);
    const { runSidecar } = await import("../run-sidecar.ts");
    await runSidecar(loaded);
  },
};
