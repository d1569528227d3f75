import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type LocalServer, type ServerOptions, startServer } from "../../src/api/server.ts";
import { FakeService } from "./fake-service.ts";

export interface ServedFake {
  readonly server: LocalServer;
  readonly service: FakeService;
  readonly path: string;
}

/** A path for a socket in a directory of its own, which is gone after the test. */
export function socketPathFor(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "sessioncast-test-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "s.sock");
}

/** A server over a fake service, closed after the test. */
export async function serveFake(
  t: TestContext,
  options: Partial<ServerOptions> = {},
): Promise<ServedFake> {
  const service = new FakeService();
  const path = options.path ?? socketPathFor(t);
  const server = await startServer({ service, ...options, path });
  t.after(() => server.close());
  return { server, service, path };
}
