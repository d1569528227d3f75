import type { KeyNames } from "../api/service.ts";
import { OperatorError } from "../base/operator-error.ts";
import type { KeyMaterial } from "../wire/keyring.ts";
import { readKeyFile } from "./key-file.ts";
import { type KeyFileContent, nameOfKey } from "./key-file-text.ts";
import type { Log } from "./log.ts";

/** The keys of this node, as its file had them when it was read last. */
export class NodeKeys {
  readonly #file: string;
  readonly #credentialsDirectory: string | undefined;
  #content: KeyFileContent;

  /** Throws OperatorError; see `readKeyFile`. */
  constructor(file: string, credentialsDirectory?: string) {
    this.#file = file;
    this.#credentialsDirectory = credentialsDirectory;
    this.#content = readKeyFile(file, credentialsDirectory);
  }

  get material(): KeyFileContent {
    return this.#content;
  }

  get names(): KeyNames {
    const { use, open } = this.#content;
    return { uses: nameOfKey(use), opens: open.map(nameOfKey) };
  }

  /** Those of `opens` that stand before the one in use: it has taken their place. */
  get older(): readonly string[] {
    return this.#content.open.slice(0, this.#content.olderCount).map(nameOfKey);
  }

  /** Reads the file again. Throws OperatorError, and then nothing has changed. */
  reload(): void {
    const content = readKeyFile(this.#file, this.#credentialsDirectory);
    if (!content.identity.equals(this.#content.identity)) {
      throw new OperatorError(
        "E_KEY_IDENTITY",
        `the identity in the key file ${this.#file} is not the one that this node started with`,
        "Put back the one that all nodes have; with another this node joins them only by a restart",
      );
    }
    this.#content = content;
  }
}

/**
 * Has the keys that the file holds now `used`, logs it, and names them. A text: the file cannot be
 * used, why, and what to do; then everything is as it was.
 */
export function reloadNodeKeys(
  keys: NodeKeys | undefined,
  log: Log,
  use: (material: KeyMaterial) => void,
): KeyNames | string {
  try {
    if (keys === undefined) throw keyless();
    keys.reload();
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    log.warn("keys_not_reloaded", { code: error.code, text: error.message });
    return error.message;
  }
  use(keys.material);
  const { names } = keys;
  log.info("keys_reloaded", { uses: names.uses, opens: names.opens.join(" ") });
  return names;
}

function keyless(): OperatorError {
  return new OperatorError(
    "E_KEY_NONE",
    "this sidecar was started without a key file",
    "Make one with sessioncast keygen, and start the sidecar with --key-file",
  );
}
