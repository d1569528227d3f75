/**
 * One pass over a TypeScript file that tells code, comments and literals apart, so that a rule
 * about code is not set off by a comment, and planted faults in strings do not count as faults.
 *
 * It is a scanner, not a parser. The one thing it has to guess is whether a slash starts a regular
 * expression; it decides by what stands before, which is right for code that the formatter shaped.
 */
export interface SourceText {
  /** Same length and lines as the file; comments and the insides of literals are blank. */
  readonly code: string;
  /** Same length and lines as the file; everything but comments is blank. */
  readonly comments: string;
}

export interface ImportReference {
  /** Undefined: the target is computed when the program runs. */
  readonly specifier: string | undefined;
  readonly offset: number;
}

const wordBeforeRegExp = /\b(?:return|typeof|case|in|of|do|else|void|delete|await|yield)\s*$/;
const signBeforeRegExp = /(?:^|[(,=:[!&|?{;+\-*%~^<>])\s*$/;

class Scanner {
  readonly #text: string;
  readonly #code: string[];
  readonly #comments: string[];
  /** For each template literal that is open: how many braces its current expression has open. */
  readonly #templates: number[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    // A character per slot, so that offsets in the masks are offsets in the file.
    this.#code = text.split("");
    this.#comments = text.split("").map((sign) => (sign === "\n" ? sign : " "));
  }

  scan(): SourceText {
    while (this.#at < this.#text.length) this.#step();
    return { code: this.#code.join(""), comments: this.#comments.join("") };
  }

  #step(): void {
    const sign = this.#text.charAt(this.#at);
    const pair = this.#text.slice(this.#at, this.#at + 2);
    if (pair === "//") this.#comment(this.#find("\n", this.#at));
    else if (pair === "/*") this.#comment(this.#find("*/", this.#at + 2) + 2);
    else if (sign === '"' || sign === "'") this.#quoted(sign);
    else if (sign === "`") this.#template();
    else if (sign === "/" && this.#regExpMayStart()) this.#regExp();
    else this.#plain(sign);
  }

  #plain(sign: string): void {
    const depth = this.#templates.at(-1);
    this.#at += 1;
    if (depth === undefined) return;
    if (sign === "{") this.#templates[this.#templates.length - 1] = depth + 1;
    if (sign !== "}") return;
    if (depth > 0) this.#templates[this.#templates.length - 1] = depth - 1;
    else {
      this.#templates.pop();
      this.#templateText();
    }
  }

  #template(): void {
    this.#at += 1;
    this.#templateText();
  }

  /** Blanks up to the closing backtick, or up to an expression, which is code again. */
  #templateText(): void {
    while (this.#at < this.#text.length) {
      const sign = this.#text.charAt(this.#at);
      if (sign === "`") break;
      if (this.#text.startsWith("${", this.#at)) {
        this.#templates.push(0);
        this.#at += 2;
        return;
      }
      this.#blank(sign === "\\" ? 2 : 1);
    }
    this.#at += 1;
  }

  #quoted(quote: string): void {
    this.#at += 1;
    while (this.#at < this.#text.length) {
      const sign = this.#text.charAt(this.#at);
      if (sign === quote || sign === "\n") break;
      this.#blank(sign === "\\" ? 2 : 1);
    }
    this.#at += 1;
  }

  #regExp(): void {
    let inClass = false;
    this.#at += 1;
    while (this.#at < this.#text.length) {
      const sign = this.#text.charAt(this.#at);
      if (sign === "\n" || (sign === "/" && !inClass)) break;
      if (sign === "[") inClass = true;
      if (sign === "]") inClass = false;
      this.#blank(sign === "\\" ? 2 : 1);
    }
    this.#at += 1;
  }

  #regExpMayStart(): boolean {
    const line = this.#text.lastIndexOf("\n", this.#at - 1) + 1;
    const before = this.#code.slice(line, this.#at).join("");
    return signBeforeRegExp.test(before) || wordBeforeRegExp.test(before);
  }

  #comment(end: number): void {
    for (let at = this.#at; at < end && at < this.#text.length; at++) {
      this.#comments[at] = this.#text.charAt(at);
    }
    this.#blank(end - this.#at);
  }

  #blank(length: number): void {
    const end = Math.min(this.#at + length, this.#text.length);
    for (; this.#at < end; this.#at++) {
      if (this.#text.charAt(this.#at) !== "\n") this.#code[this.#at] = " ";
    }
  }

  #find(mark: string, from: number): number {
    const found = this.#text.indexOf(mark, from);
    return found === -1 ? this.#text.length : found;
  }
}

export function scanSource(text: string): SourceText {
  return new Scanner(text).scan();
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** Every place that names another module: imports and re-exports, of types too, and calls. */
export function importsOf(text: string): ImportReference[] {
  const { code } = scanSource(text);
  const found: ImportReference[] = [];
  const naming = /(?<![.\w$])(?:from\s*|import\s*|(?:import|require)\s*\(\s*)(["'`])/g;
  for (const match of code.matchAll(naming)) {
    const start = match.index + match[0].length;
    const end = text.indexOf(match[1] ?? "", start);
    const specifier = text.slice(start, end);
    const computed = match[1] === "`" && specifier.includes("${");
    found.push({ specifier: computed ? undefined : specifier, offset: match.index });
  }
  for (const match of code.matchAll(/(?<![.\w$])(?:import|require)\s*\((?!\s*["'`])/g)) {
    found.push({ specifier: undefined, offset: match.index });
  }
  return found;
}
