import { resolve } from "node:path";
import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import { shellWord } from "../../base/shell-word.ts";
import { commandName } from "../command-name.ts";
import { print } from "../output.ts";
import { UsageError } from "../usage-error.ts";

const options = {
  add: { type: "boolean", describe: "First step of a change: one key more, which only opens" },
  use: { type: "string", requiresArg: true, describe: "Second step: this key seals from now on" },
  retire: { type: "string", requiresArg: true, describe: "Third step: this key goes" },
} as const satisfies Record<string, Options>;

type Arguments = InferredOptionTypes<typeof options> & { readonly file?: string | undefined };

export const keygenCommand: CommandModule<object, Arguments> = {
  command: "keygen [file]",
  describe: "Write a file of keys for a new cluster, or change the keys in it step by step",
  builder: (yargs) =>
    yargs
      .positional("file", {
        type: "string",
        describe: "The key file; /etc/sessioncast/key if none",
      })
      .options(options)
      .conflicts({ add: ["use", "retire"], use: "retire" })
      .example("$0 keygen", "keys for a new cluster; copy the file to all nodes")
      .example("$0 keygen --add", "a new key beside the old one, see sessioncast keys")
      .example("$0 keygen --use 1a2b3c4d", "once all nodes hold it")
      .example("$0 keygen --retire 5e6f7a8b", "once all nodes use the new one"),
  handler: async (argv) => {
    const { defaultKeyFile } = await import("../../daemon/key-file.ts");
    const file = resolve(argv.file ?? defaultKeyFile);
    if (argv.add !== true && argv.use === undefined && argv.retire === undefined) {
      await create(file);
    } else {
      await change(file, argv);
    }
  },
};

async function create(file: string): Promise<void> {
  const { createKeyFile } = await import("../../daemon/key-file.ts");
  const { fingerprint } = createKeyFile(file);
  const path = shellWord(file);
  print(
    [
      `key ${fingerprint} is in ${file}, which nobody but its owner may read`,
      "copy it to each other node, by a way that you trust:",
      `  scp -p ${path} app-2:${path}`,
      "and start every node with it:",
      `  ${commandName()} start --key-file ${path} --interface auto`,
    ].join("\n"),
  );
}

async function change(file: string, argv: Arguments): Promise<void> {
  const { editKeyFile } = await import("../../daemon/key-file.ts");
  const { addKey, retireKey, useKey } = await import("../../daemon/key-file-edit.ts");
  const say = (fact: string) => print([fact, ...nextSteps()].join("\n"));
  if (argv.use !== undefined) {
    const named = requireFingerprint("use", argv.use);
    const { fingerprint } = editKeyFile(file, (text) => useKey(text, file, named));
    say(`key ${fingerprint} of ${file} seals from the next reload on`);
  } else if (argv.retire !== undefined) {
    const named = requireFingerprint("retire", argv.retire);
    const { fingerprint } = editKeyFile(file, (text) => retireKey(text, file, named));
    say(`key ${fingerprint} is gone from ${file}; it opens nothing from the next reload on`);
  } else {
    const { fingerprint } = editKeyFile(file, (text) => addKey(text, file));
    say(
      `key ${fingerprint} is in ${file}; it opens from the next reload on, and seals nothing yet`,
    );
  }
}

function nextSteps(): string[] {
  return [
    "on each node, once it has the file:",
    `  ${commandName()} keys reload`,
    "and when that is done on all of them, see what comes next:",
    `  ${commandName()} keys`,
  ];
}

/** Does not repeat it: it may be a whole key, pasted by mistake. */
function requireFingerprint(option: string, word: string): string {
  if (/^[0-9a-f]{8}$/i.test(word)) return word;
  throw new UsageError(
    `--${option} takes a fingerprint, eight hex digits as sessioncast keys shows`,
  );
}
