/**
 * Where a text stops being JSON. Needed because the messages of `JSON.parse` differ between
 * versions of Node: many give no position at all and quote the text instead.
 */
export interface JsonFault {
  /** Both count from 1, as editors do. */
  readonly line: number;
  readonly column: number;
}

type Expected = "value" | "value or ]" | "key" | "key or }" | "colon" | "comma or end" | "nothing";

const spacePattern = /[ \t\r\n]*/y;
const stringPattern = /"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;
const scalarPattern = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/y;

/** Undefined: the text is JSON. */
export function findJsonFault(text: string): JsonFault | undefined {
  const scanner = new Scanner(text);
  while (!scanner.isDone) {
    if (!scanner.step()) return positionOf(text, scanner.offset);
  }
  return undefined;
}

function positionOf(text: string, offset: number): JsonFault {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - lineStart + 1 };
}

/** A stack machine, not recursion: a file of a million brackets must not overflow the stack. */
class Scanner {
  readonly #text: string;
  readonly #open: ("{" | "[")[] = [];
  #expected: Expected = "value";
  offset = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isDone(): boolean {
    return this.#expected === "nothing" && this.offset === this.#text.length;
  }

  /** Takes one token; false when it is not one that may stand here. */
  step(): boolean {
    this.#take(spacePattern);
    const character = this.#text[this.offset];
    switch (this.#expected) {
      case "value or ]":
        return character === "]" ? this.#close() : this.#value(character);
      case "value":
        return this.#value(character);
      case "key or }":
        return character === "}" ? this.#close() : this.#string("colon");
      case "key":
        return this.#string("colon");
      case "colon":
        return character === ":" && this.#advance("value");
      case "comma or end":
        return this.#commaOrEnd(character);
      case "nothing":
        return this.isDone;
    }
  }

  #value(character: string | undefined): boolean {
    if (character === "{" || character === "[") {
      this.#open.push(character);
      return this.#advance(character === "{" ? "key or }" : "value or ]");
    }
    if (character === '"') return this.#string(this.#afterValue());
    if (this.#take(scalarPattern) === "") return false;
    this.#expected = this.#afterValue();
    return true;
  }

  /** `JSON.parse` judges the escapes and control characters of a single string. */
  #string(next: Expected): boolean {
    const start = this.offset;
    const literal = this.#take(stringPattern);
    try {
      JSON.parse(literal);
    } catch {
      this.offset = start;
      return false;
    }
    this.#expected = next;
    return true;
  }

  #commaOrEnd(character: string | undefined): boolean {
    const innermost = this.#open.at(-1);
    if (character === ",") return this.#advance(innermost === "{" ? "key" : "value");
    return character === (innermost === "{" ? "}" : "]") && this.#close();
  }

  #close(): boolean {
    this.#open.pop();
    return this.#advance(this.#afterValue());
  }

  #afterValue(): Expected {
    return this.#open.length === 0 ? "nothing" : "comma or end";
  }

  #advance(next: Expected): true {
    this.offset += 1;
    this.#expected = next;
    return true;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.offset;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.offset += found.length;
    return found;
  }
}
