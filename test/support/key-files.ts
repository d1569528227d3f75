import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createKeyFile, editKeyFile } from "../../src/daemon/key-file.ts";
import type { Edited } from "../../src/daemon/key-file-edit.ts";
import { testKey } from "./test-keys.ts";

/** The key file of one cluster, and a copy for each node, as an operator has them. */
export class KeyFiles {
  readonly #directory: string;
  readonly #first: string;
  /** Every secret that was ever in the file, in hex. */
  readonly secrets = new Set<string>();
  /** Of the key in use at first, eight hex digits. */
  readonly fingerprint: string;

  constructor(directory: string) {
    this.#directory = directory;
    this.#first = join(directory, "key");
    this.fingerprint = createKeyFile(this.#first).fingerprint;
    this.#remember();
  }

  path(node: string): string {
    return join(this.#directory, `key-${node}`);
  }

  /** What a node is started with; it has a copy of the file then. */
  environment(node: string): Record<string, string> {
    this.copyTo(node);
    return { SESSIONCAST_GOSSIP_KEY_FILE: this.path(node) };
  }

  copyTo(...nodes: readonly string[]): void {
    for (const node of nodes) writePrivate(this.path(node), readFileSync(this.#first, "utf8"));
  }

  /** Returns the fingerprint of the key that it was about. */
  edit(step: (text: string, file: string) => Edited): string {
    const { fingerprint } = editKeyFile(this.#first, step);
    this.#remember();
    return fingerprint;
  }

  #remember(): void {
    const hex = readFileSync(this.#first, "utf8").match(/[0-9a-f]{64}/g) ?? [];
    for (const secret of hex) this.secrets.add(secret);
  }
}

/** A file of these lines, with the same keys in every run: `[["identity", 1], ["use", 2]]`. */
export function writeKeys(path: string, ...lines: readonly (readonly [string, number])[]): void {
  const texts = lines.map(([word, n]) => `${word} ${testKey(n).toString("hex")}\n`);
  writePrivate(path, texts.join(""));
}

export function writePrivate(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600);
}
