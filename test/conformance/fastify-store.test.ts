/** What only @fastify/session asks of its store. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fastifyCookie from "@fastify/cookie";
import fastifySession from "@fastify/session";
import fastify, { type FastifyRequest } from "fastify";
import { SessioncastStore } from "../../src/adapters/fastify.ts";
import { serveFake } from "../support/local-server.ts";

const timeoutMs = 60_000;

test("reload, options, regenerate with keys, and several saves of one request", async (t) => {
  const { path, service } = await serveFake(t);
  const store = new SessioncastStore({ socket: path, timeoutMs });
  const app = fastify();
  t.after(async () => {
    await app.close();
    await store.close();
  });
  await app.register(fastifyCookie);
  await app.register(fastifySession, {
    store,
    secret: "a secret of at least thirty-two characters",
    cookie: { secure: false, maxAge: 60_000 },
    saveUninitialized: false,
  });
  const data = (request: FastifyRequest) => request.session as unknown as Record<string, unknown>;
  app.post("/", async (request) => {
    data(request).user = "nobody";
    await request.session.reload();
    request.session.options({ maxAge: 90_000 });
    const { user } = data(request);
    data(request).visits = 1;
    await request.session.save();
    data(request).visits = 2;
    await request.session.save();
    await request.session.regenerate(["visits"]);
    return { user, visits: data(request).visits };
  });
  app.get("/", async (request) => {
    data(request).user = "ada";
    return {};
  });
  const cookieOf = (response: { cookies: { name: string; value: string }[] }) =>
    Object.fromEntries(response.cookies.map(({ name, value }) => [name, value]));
  const first = await app.inject({ method: "GET", url: "/" });
  service.calls.length = 0;
  // With a body: the handler then runs in another turn than the load.
  const changed = await app.inject({
    method: "POST",
    url: "/",
    cookies: cookieOf(first),
    payload: { item: "book" },
  });
  assert.deepEqual(changed.json(), { user: "ada", visits: 2 });
  const written = service.calls.filter((name) => name !== "get" && name !== "touch");
  assert.deepEqual(written, ["patch", "patch", "destroy", "set"]);
  assert.equal(service.count(), 1);
});
