import { OperatorError } from "../base/operator-error.ts";
import { shellWord } from "../base/shell-word.ts";
import type { ChosenInterface } from "../net/interface-choice.ts";
import type { Configuration } from "./configuration.ts";
import { defaultKeyFile } from "./key-file.ts";

/** Whoever has a user on this machine has its loopback, too, whatever the socket's mode. */
const keylessWarning =
  "no key: any user of this machine can join the cluster, and read, forge and destroy all " +
  "sessions; where there are others, start its nodes with --key-file, also on loopback";

/**
 * Sessions are bearer secrets: without a key they stay on this machine. Throws OperatorError
 * (E_PLAINTEXT); returns what to warn of.
 */
export function guardNetwork(gossip: Configuration["gossip"], chosen: ChosenInterface): string[] {
  const { keyFile, insecurePlaintext } = gossip;
  if (keyFile !== "" && insecurePlaintext) {
    throw new OperatorError(
      "E_PLAINTEXT",
      `gossip.keyFile is ${keyFile} and gossip.insecurePlaintext is true: sealed or not`,
      "Leave out --insecure-plaintext to seal datagrams with the key",
    );
  }
  if (keyFile !== "") return [];
  const asked = insecurePlaintext ? [plaintextWarning(chosen)] : [];
  if (chosen.loopback) return [keylessWarning, ...asked];
  if (insecurePlaintext) return asked;
  const start = `sessioncast start --key-file ${defaultKeyFile}`;
  throw new OperatorError(
    "E_PLAINTEXT",
    `${chosen.name} (${chosen.address}) leads to a network, and there is no key to seal ` +
      "datagrams with",
    `Stay on loopback, or make a key, copy it to all nodes and start them with it: ` +
      `sessioncast keygen ${defaultKeyFile}; ${start} --interface ${shellWord(gossip.interface)}`,
  );
}

/** Also where it allows nothing yet: it is forgotten until another interface is chosen. */
function plaintextWarning({ loopback }: ChosenInterface): string {
  return loopback
    ? "PLAINTEXT: gossip.insecurePlaintext is set; it would also let bare datagrams onto a network"
    : "PLAINTEXT: whoever is on the network can read and forge sessions";
}
