import { once } from "node:events";
import type { AddressInfo } from "node:net";
import express from "express";
import session from "express-session";
import { expressSubjects } from "./express-subjects.ts";

declare module "express-session" {
  interface SessionData {
    visits: number;
    text: string;
  }
}

/**
 * A small app as a process of its own: `express-app.js <subject> <socket of the store's server>`.
 * What it does itself is next to nothing, so that what the store costs shows. Tells its port.
 */
const [name = "", socket = ""] = process.argv.slice(2);
const subject = expressSubjects[name];
if (subject === undefined) throw new Error(`there is no subject ${name}`);
const app = express();
app.get("/cpu", (_request, response) => {
  const { user, system } = process.cpuUsage();
  response.json(user + system);
});
app.use(
  session({
    store: await subject.open(socket),
    secret: "a secret of this bench",
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 3_600_000 },
  }),
);

app.post("/login/:user", (request, response) => {
  Object.assign(request.session, { user: request.params.user, visits: 0, text: "t".repeat(250) });
  response.json({ user: request.params.user });
});

app.get("/", (request, response) => show(request, response));

app.get("/visit", (request, response) => {
  request.session.visits = (request.session.visits ?? 0) + 1;
  show(request, response);
});

function show({ session }: express.Request, response: express.Response): void {
  const { user } = session;
  if (user === undefined) response.status(401).json({ error: "not logged in" });
  else response.json({ user });
}

const server = app.listen(0, "127.0.0.1");
await once(server, "listening");
process.on("disconnect", () => process.exit());
process.send?.((server.address() as AddressInfo).port);
