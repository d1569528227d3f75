/** What came back of a request. */
export interface Visited {
  readonly status: number;
  readonly body: unknown;
  /** The cookies that this response set, as they were sent. */
  readonly cookies: readonly string[];
}

/** A browser with one jar of cookies, for whatever node it is sent to. */
export class CookieJar {
  readonly #cookies = new Map<string, string>();

  value(name: string): string | undefined {
    return this.#cookies.get(name);
  }

  put(name: string, value: string): void {
    this.#cookies.set(name, value);
  }

  /** Another browser with the same cookies. */
  copy(): CookieJar {
    const jar = new CookieJar();
    for (const [name, value] of this.#cookies) jar.put(name, value);
    return jar;
  }

  async visit(url: string, init: RequestInit = {}): Promise<Visited> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { ...(init.headers as Record<string, string>), cookie };
    const response = await fetch(url, { ...init, headers, redirect: "manual" });
    const cookies = response.headers.getSetCookie();
    for (const text of cookies) this.#receive(text);
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text), cookies };
  }

  #receive(text: string): void {
    const [pair = "", ...attributes] = text.split(";").map((part) => part.trim());
    const separator = pair.indexOf("=");
    const name = pair.slice(0, separator);
    const isOver = attributes.some((attribute) => /^expires=thu, 01 jan 1970/i.test(attribute));
    if (isOver) this.#cookies.delete(name);
    else this.#cookies.set(name, pair.slice(separator + 1));
  }
}
