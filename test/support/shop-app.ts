import { once } from "node:events";
import type { AddressInfo } from "node:net";
import express, { type NextFunction, type Request, type Response } from "express";
import session from "express-session";
import { SessioncastStore } from "../../src/adapters/express.ts";

/**
 * A small shop as users write them, run as a process of its own: it logs in, fills a cart, shows
 * both and logs out. The sidecar is found through SESSIONCAST_SOCKET. Tells its port to the parent.
 */
declare module "express-session" {
  interface SessionData {
    user: string;
    cart: string[];
  }
}

const app = express();
const store = new SessioncastStore({
  // The machine that runs tests may be busy with others for longer than users would wait.
  timeoutMs: 30_000,
  consistency: "session",
  consistencySecret: "another secret of this test",
});
app.use(
  store.consistent(
    session({
      store,
      secret: "a secret of this test",
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 3_600_000 },
    }),
  ),
);

app.post("/login/:user", (request, response) => {
  request.session.user = request.params.user;
  request.session.cart = [];
  response.json({ user: request.session.user });
});

app.post("/cart/:item", (request, response) => {
  const { user, cart } = request.session;
  if (user === undefined || cart === undefined) {
    response.status(401).json({ error: "not logged in" });
    return;
  }
  request.session.cart = [...cart, request.params.item];
  response.json({ cart: request.session.cart });
});

app.get("/", (request, response) => {
  const { user, cart } = request.session;
  response.json({ user: user ?? null, cart: cart ?? null });
});

app.post("/logout", (request, response, next) => {
  request.session.destroy((error) => {
    if (error) next(error);
    else response.json({ user: null });
  });
});

/** As the README advises for apps behind a balancer. */
app.use((error: { code?: string }, _request: Request, response: Response, next: NextFunction) => {
  const isGone = /^SESSIONCAST_(UNAVAILABLE|TIMEOUT)$/.test(error.code ?? "");
  if (isGone && !response.headersSent) response.status(503).end();
  else next(error);
});

const server = app.listen(0, "127.0.0.1");
await once(server, "listening");
process.send?.((server.address() as AddressInfo).port);
