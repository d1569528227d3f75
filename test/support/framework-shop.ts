import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { type LocalServer, startServer } from "../../src/api/server.ts";
import { CookieJar } from "./cookie-jar.ts";
import { FakeService } from "./fake-service.ts";
import type { Framework, FrameworkStore, Site, SiteOptions } from "./framework-sites.ts";
import { socketPathFor } from "./local-server.ts";

/** Longer than a busy machine makes anybody wait; only a hang takes as long. */
const timeoutMs = 60_000;
export const maxAge = 600_000;

export interface Shop {
  readonly site: Site;
  readonly store: FrameworkStore;
  readonly service: FakeService;
  readonly jar: CookieJar;
  /** What of the site shows to the browser of the test. */
  show(): Promise<unknown>;
  visit(path: string, jar?: CookieJar): Promise<unknown>;
  sidecarLeaves(): Promise<void>;
  sidecarReturns(): Promise<void>;
}

type StoreOptions = Parameters<Framework["openStore"]>[0];

/** A site with a store over a sidecar in memory, and a browser that visits it. */
export async function openShop(
  t: TestContext,
  framework: Framework,
  options: StoreOptions & { readonly site?: SiteOptions } = {},
): Promise<Shop> {
  const service = new FakeService();
  const path = socketPathFor(t);
  let server: LocalServer = await startServer({ service, path });
  const store = framework.openStore({ socket: path, timeoutMs, ...options });
  const site = await framework.serve(t, store, { maxAge, ...options.site });
  t.after(async () => {
    await store.close();
    await server.close();
  });
  const jar = new CookieJar();
  const visit = async (target: string, browser = jar) => {
    const { status, body } = await browser.visit(site.origin + target);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  return {
    site,
    store,
    service,
    jar,
    visit,
    show: () => visit("/show"),
    sidecarLeaves: () => server.close(),
    async sidecarReturns() {
      server = await startServer({ service, path });
      await store.client.ready();
    },
  };
}

/** Time passes for the sidecar and for the app, and for nobody else. */
export function clockOf(t: TestContext, { service }: Shop): (ms: number) => void {
  t.mock.timers.enable({ apis: ["Date"], now: service.nowMs });
  return (ms) => {
    service.nowMs += ms;
    t.mock.timers.tick(ms);
  };
}
