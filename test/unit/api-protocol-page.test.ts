import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ErrorCode, Verb } from "../../src/api/messages.ts";
import { limits } from "../../src/protocol/limits.ts";
import { serveFake } from "../support/local-server.ts";
import { RawClient } from "../support/raw-client.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
/** Where its lines break does not matter here, except in the conversation. */
const page = readFileSync(join(root, "src/api/PROTOCOL.md"), "utf8");
const words = page.replaceAll(/\s+/g, " ");

test("the conversation on the protocol page is one that the server has", async (t) => {
  const { path, service } = await serveFake(t);
  service.nowMs = 1_800_000_000_000;
  const client = await RawClient.connect(t, path);
  // Behind each pong nothing is under way: what has come by then is all of the replies.
  const received: string[] = [];
  client.socket.on("data", (chunk: Buffer) => received.push(chunk.toString("hex")));
  const lines = [...page.matchAll(/^ {4}([<>]) ([0-9a-f]+)$/gm)];
  const sent = lines.filter(([, side]) => side === ">").map(([, , hex]) => String(hex));
  const expected = lines.filter(([, side]) => side === "<").map(([, , hex]) => String(hex));
  // The answer to hello is not shown, and there is an event.
  assert.equal(sent.length, expected.length);
  for (const hex of sent) {
    client.send(Buffer.from(hex, "hex"));
    await client.reply();
  }
  await client.reply();
  assert.ok(received.join("").endsWith(expected.join("")));
});

test("the protocol page names every verb, every code and the right limits", () => {
  for (const [name, number] of Object.entries(Verb)) {
    assert.match(page, new RegExp(`^\\| ${number} +\\| ${name} +\\|`, "m"));
  }
  for (const code of Object.values(ErrorCode)) assert.ok(words.includes(code));
  const spaced = limits.localFrameBytesMax.toLocaleString("en").replaceAll(",", " ");
  assert.ok(words.includes(`at most ${spaced} bytes`));
  assert.ok(words.includes(`1 to ${limits.sessionIdBytesMax} bytes`));
  assert.ok(words.includes(`at most ${limits.attributesPerSessionMax}`));
  assert.ok(words.includes(`\`limit\` is 1 to ${limits.listPageMax}`));
  assert.ok(words.includes(`${limits.localBacklogBytesMax / 1_048_576} MiB`));
  assert.ok(words.includes(`${limits.localBacklogMsMax / 1_000} seconds`));
});
