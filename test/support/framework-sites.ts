import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import fastifyCookie from "@fastify/cookie";
import fastifySession from "@fastify/session";
import express, { type NextFunction, type Request, type Response } from "express";
import expressSession, { type Session, type Store } from "express-session";
import fastify from "fastify";
import Koa from "koa";
import koaSession from "koa-session";
import { SessioncastStore as ExpressStore } from "../../src/adapters/express.ts";
import { SessioncastStore as FastifyStore } from "../../src/adapters/fastify.ts";
import { SessioncastStore as KoaStore } from "../../src/adapters/koa.ts";
import type { StoreOptions } from "../../src/adapters/session-engine.ts";

/** What the site may do with the session of a request, whichever framework it is of. */
interface SessionAccess {
  data(): Record<string, unknown>;
  save(): Promise<unknown>;
  regenerate(): Promise<unknown>;
  destroy(): Promise<unknown>;
}

/** Holds requests of `/hold/...` in the handler until the test lets them go. */
export class Gate {
  #arrived: (() => void) | undefined;
  #release: (() => void) | undefined;

  /** Resolves when the next request has loaded its session and is being held. */
  arrival(): Promise<void> {
    return new Promise((resolve) => {
      this.#arrived = resolve;
    });
  }

  release(): void {
    this.#release?.();
  }

  pass(): Promise<void> {
    const released = new Promise<void>((resolve) => {
      this.#release = resolve;
    });
    this.#arrived?.();
    return released;
  }
}

export interface Site {
  readonly origin: string;
  readonly gate: Gate;
  /** Errors that the framework handed to the app's error handler. */
  readonly errors: { readonly code?: string }[];
}

export interface SiteOptions {
  readonly maxAge?: number;
  readonly rolling?: boolean;
  readonly resave?: boolean;
}

export interface FrameworkStore {
  readonly client: ExpressStore["client"];
  on(event: string, listener: (error?: { code?: string }) => void): unknown;
  close(): Promise<void>;
}

export interface Framework {
  readonly name: string;
  /** The cookie that holds the session id. */
  readonly cookieName: string;
  openStore(options: StoreOptions): FrameworkStore;
  serve(t: TestContext, store: FrameworkStore, options?: SiteOptions): Promise<Site>;
}

const maxAgeDefault = 600_000;

/** `/put/name/value`, `/hold/name/value`, `/remove/name`, `/login/name`, `/logout`, `/show`. */
async function act(path: string, session: SessionAccess, gate: Gate): Promise<object> {
  const [, action, name = "", value] = path.split("/");
  if (action === "hold") await gate.pass();
  if (action === "login") {
    await session.regenerate();
    session.data().user = name;
    await session.save();
  }
  if (action === "logout") await session.destroy();
  if (action === "remove") delete session.data()[name];
  if (action === "push") (session.data()[name] as unknown[]).push(value);
  if (action === "list") session.data()[name] = [];
  if (action === "put" || action === "hold") session.data()[name] = value;
  return action === "logout" ? {} : shown(session.data());
}

function shown(session: object): object {
  const own = Object.entries(JSON.parse(JSON.stringify(session)) as object);
  return Object.fromEntries(own.filter(([name]) => name !== "cookie"));
}

export async function listen(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function called(work: (done: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    work((error) => (error ? reject(error) : resolve()));
  });
}

function expressAccess(request: Request): SessionAccess {
  const session = () => request.session;
  return {
    data: () => session() as unknown as Record<string, unknown>,
    save: () => called((done) => session().save(done)),
    regenerate: () => called((done) => session().regenerate(done)),
    destroy: () => called((done) => session().destroy(done)),
  };
}

/** An Express app with any store, also one of others. */
export async function serveExpress(
  t: TestContext,
  store: Store,
  options: SiteOptions = {},
  around = <M extends object>(middleware: M): M => middleware,
): Promise<Site> {
  const gate = new Gate();
  const errors: { code?: string }[] = [];
  const app = express();
  const { maxAge = maxAgeDefault, rolling = false, resave = false } = options;
  const cookie = { maxAge };
  const base = { secret: "of the test", saveUninitialized: false, store };
  app.use(around(expressSession({ ...base, resave, rolling, cookie })));
  app.use((request: Request, response: Response, next: NextFunction) => {
    act(request.path, expressAccess(request), gate).then((body) => response.json(body), next);
  });
  app.use((error: { code?: string }, _request: Request, response: Response, _next: unknown) => {
    errors.push(error);
    if (!response.headersSent) response.status(500).json({ code: error.code });
  });
  return { origin: await listen(t, app), gate, errors };
}

const onExpress: Framework = {
  name: "express-session",
  cookieName: "connect.sid",
  openStore: (options) => new ExpressStore(options),
  serve(t, store, options) {
    const own = store as ExpressStore;
    const around = <M extends object>(middleware: M) => own.consistent(middleware as never) as M;
    return serveExpress(t, own, options, around);
  },
};

function fastifyAccess(request: { session: unknown }): SessionAccess {
  const session = () => request.session as Session & { destroy(): Promise<void> };
  return {
    data: () => session() as unknown as Record<string, unknown>,
    save: () => Promise.resolve(session().save()),
    regenerate: () => Promise.resolve(session().regenerate(undefined as never)),
    destroy: () => session().destroy(),
  };
}

const onFastify: Framework = {
  name: "@fastify/session",
  cookieName: "sessionId",
  openStore: (options) => new FastifyStore(options),
  async serve(t, store, { maxAge = maxAgeDefault, rolling = true } = {}) {
    const gate = new Gate();
    const errors: { code?: string }[] = [];
    const app = fastify({ forceCloseConnections: true });
    t.after(() => app.close());
    const own = store as FastifyStore;
    await app.register(fastifyCookie);
    await app.register(own.consistent(fastifySession), {
      store: own,
      secret: "a secret of at least thirty-two characters",
      cookie: { secure: false, maxAge },
      rolling,
      saveUninitialized: false,
    });
    app.setErrorHandler((error: { code?: string }, _request, reply) => {
      errors.push(error);
      return reply.status(500).send({ code: error.code });
    });
    app.get("/*", (request) => act(request.url, fastifyAccess(request), gate));
    app.post("/*", (request) => act(request.url, fastifyAccess(request), gate));
    await app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = app.server.address() as AddressInfo;
    return { origin: `http://127.0.0.1:${port}`, gate, errors };
  },
};

function koaAccess(ctx: Koa.Context): SessionAccess {
  const session = () => ctx.session as { save(): Promise<void>; regenerate(): Promise<void> };
  return {
    data: () => ctx.session as Record<string, unknown>,
    save: () => session().save(),
    regenerate: () => session().regenerate(),
    destroy: async () => {
      ctx.session = null;
    },
  };
}

const onKoa: Framework = {
  name: "koa-session",
  cookieName: "koa.sess",
  openStore: (options) => new KoaStore(options),
  async serve(t, store, { maxAge = maxAgeDefault, rolling = false } = {}) {
    const gate = new Gate();
    const errors: { code?: string }[] = [];
    const app = new Koa();
    app.keys = ["of the test"];
    app.use(async (ctx, next) => {
      try {
        await next();
      } catch (error) {
        errors.push(error as { code?: string });
        ctx.status = 500;
        ctx.body = { code: (error as { code?: string }).code };
      }
    });
    app.use(koaSession({ store: store as KoaStore, maxAge, rolling }, app));
    app.use(async (ctx) => {
      ctx.body = await act(ctx.path, koaAccess(ctx), gate);
    });
    return { origin: await listen(t, app.callback()), gate, errors };
  },
};

export const frameworks: readonly Framework[] = [onExpress, onFastify, onKoa];
