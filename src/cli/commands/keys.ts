import type { CommandModule, InferredOptionTypes, Options } from "yargs";
import { OperatorError } from "../../base/operator-error.ts";
import type { Client } from "../../client/connect.ts";
import { jsonOption, socketOption, withClient } from "../client-session.ts";
import { printable } from "../format.ts";
import { type HeldKeys, heldKeys } from "../key-holders.ts";
import { isKnown, nextStep } from "../key-rotation.ts";
import { print, printJson } from "../output.ts";
import { formatTable } from "../table.ts";

const options = { ...socketOption, ...jsonOption } as const satisfies Record<string, Options>;

type Arguments = InferredOptionTypes<typeof options> & { readonly action?: string | undefined };

export const keysCommand: CommandModule<object, Arguments> = {
  command: "keys [action]",
  describe: "Show which keys each node holds, and which step of changing them is safe now",
  builder: (yargs) =>
    yargs
      .positional("action", {
        choices: ["reload"],
        describe: "Have the sidecar read its key file again, as SIGHUP does",
      })
      .options(options)
      .example("$0 keys", "one line for each node, by fingerprint, and the next step")
      .example("$0 keys reload", "after the file was changed; a wrong one changes nothing"),
  handler: async ({ action, json, socket }) => {
    await withClient(socket, (client) => (action === undefined ? show : reload)(client, json));
  },
};

async function show(client: Client, json: boolean): Promise<void> {
  const held = heldKeys(await client.stats());
  if (held === undefined) {
    throw new OperatorError(
      "E_KEY_NONE",
      "this sidecar runs without a key",
      "Make one with sessioncast keygen, and start the sidecar with --key-file",
    );
  }
  const next = nextStep(held.holders, held.older);
  if (json) printJson({ nodes: held.holders, next });
  else print(`${formatHolders(held)}\n\n${printable(next)}`);
}

function formatHolders({ holders }: HeldKeys): string {
  const columns = ["node", "state", "uses", "opens"].map((title) => ({ title }));
  const rows = holders.map((holder) => {
    const { node, state, uses, opens } = holder;
    const keys = isKnown(holder) ? [uses, opens.join(" ") || "-"] : ["?", "?"];
    return [node, state, ...keys].map(printable);
  });
  return formatTable(columns, rows);
}

async function reload(client: Client, json: boolean): Promise<void> {
  const keys = await client.reloadKeys();
  if (json) printJson(keys);
  else print(`uses ${keys.uses}, opens ${keys.opens.join(" ") || "no other"}`);
}
