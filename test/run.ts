/**
 * Runs the compiled tests of some rooms: `node dist/test/run.js [room...] [--grep pattern]`.
 *
 * Not `node --test`: a folder as its argument works on Node 20 and fails on 22, a quoted glob the
 * other way round. And not one `run()` for all files: its time limit ends a file that hangs on Node
 * 20 and 22, but on 24 only the test in it. So each file is a run of its own, in a process of its
 * own, with a watchdog of ours; the events of all go, in order, through one reporter.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const roomsByDefault = ["unit", "property", "fuzz", "conformance", "simulation", "tidy", "cluster"];
const compiledFolder = dirname(fileURLToPath(import.meta.url));
const sourceFolder = join(compiledFolder, "..", "..", "test");
/** What Node 20 calls a test that the pattern leaves out; later versions do not mention it. */
const leftOutByPattern = "test name does not match pattern";
/** How long a file that was told to stop may take, for instance because a child of it lives on. */
const stopMsMax = 5_000;
/** The sums that each run reports at its end; those of single files would only be noise. */
const sum = /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

interface Batch {
  readonly rooms: readonly string[];
  readonly concurrency: number;
  readonly fileTimeoutMs: number;
}

/** The part of an event that matters here; it is the same in Node 20, 22 and 24. */
interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly message?: string;
    readonly file?: string;
    readonly nesting?: number;
    readonly testNumber?: number;
    readonly details?: { readonly type?: string; duration_ms?: number; error?: Error };
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
  };
}

/** Clusters are processes that compete for the machine's timers, so they run one at a time. */
function batchesOf(rooms: readonly string[]): Batch[] {
  const quick = rooms.filter((room) => room !== "cluster");
  const slow = rooms.filter((room) => room === "cluster");
  return [
    { rooms: quick, concurrency: 2, fileTimeoutMs: 120_000 },
    { rooms: slow, concurrency: 1, fileTimeoutMs: 600_000 },
  ];
}

/** A compiled test whose source is gone is a leftover of an earlier build and does not count. */
function testFilesOf(room: string): string[] {
  const folder = join(compiledFolder, room);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.js"))
    .filter((name) => existsSync(join(sourceFolder, room, name.replace(/\.js$/, ".ts"))))
    .sort()
    .map((name) => join(folder, name));
}

function count(tally: Tally, { type, data }: TestEvent, file: string): void {
  const failed = type === "test:fail";
  if (!failed && type !== "test:pass") return;
  if (data.details?.type === "suite" || data.skip === leftOutByPattern) return;
  // Skipped without a reason is `true` or the empty string, depending on the version.
  const marks = [data.skip, data.todo];
  if (marks.some((mark) => mark !== undefined && mark !== false)) tally.skipped += 1;
  else if (failed) tally.failed += 1;
  // Node reports a file without tests as one passed test that bears the name of the file.
  else if (data.name !== file && data.name !== relative(process.cwd(), file)) tally.passed += 1;
}

/** For a file of which Node reports no failure, as the tests in it had passed. */
function overdue(file: string, error: Error): TestEvent {
  const details = { duration_ms: 0, error };
  const name = relative(process.cwd(), file);
  return { type: "test:fail", data: { name, file, nesting: 0, testNumber: 1, details } };
}

/** Ends when the file has ended, or has been told to and had its time; writes its events. */
async function runFile(
  file: string,
  grep: string | undefined,
  fileTimeoutMs: number,
  events: PassThrough,
): Promise<void> {
  const watchdog = new AbortController();
  const ended = new AbortController();
  const stream = run({
    files: [file],
    signal: watchdog.signal,
    ...(grep === undefined ? {} : { testNamePatterns: [new RegExp(grep)] }),
  });
  let failures = 0;
  stream.on("data", (event: TestEvent) => {
    if (event.type === "test:fail") failures += 1;
    if (!events.writableEnded) events.write(event);
  });
  stream.once("end", () => ended.abort());
  // Both waits are cut short by the end of the stream.
  const wait = (ms: number) => sleep(ms, true, { signal: ended.signal }).catch(() => false);
  if (await wait(fileTimeoutMs)) {
    const error = new Error(`the file did not end within ${fileTimeoutMs} ms`);
    watchdog.abort(error);
    await wait(stopMsMax);
    if (failures === 0) events.write(overdue(file, error));
  }
  events.end();
}

/** Runs some files at a time; yields the events of one after the other, as they come. */
async function* eventsOf(batch: Batch, grep: string | undefined, tally: Tally) {
  const files = batch.rooms.flatMap(testFilesOf);
  const queue = files.map((file) => ({ file, events: new PassThrough({ objectMode: true }) }));
  const waiting = queue.values();
  const work = async () => {
    for (const { file, events } of waiting) {
      await runFile(file, grep, batch.fileTimeoutMs, events);
    }
  };
  const workers = Array.from({ length: batch.concurrency }, work);
  for (const { file, events } of queue) {
    for await (const event of events as AsyncIterable<TestEvent>) {
      count(tally, event, file);
      if (event.type === "test:diagnostic" && sum.test(event.data.message ?? "")) continue;
      // The reporter of later versions lists all failures at each of these; once will do.
      if (event.type === "test:summary") continue;
      yield event;
    }
  }
  await Promise.all(workers);
}

async function* eventsOfAll(rooms: readonly string[], grep: string | undefined, tally: Tally) {
  for (const batch of batchesOf(rooms)) yield* eventsOf(batch, grep, tally);
  yield { type: "test:summary", data: {} };
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { grep: { type: "string" } },
  });
  const rooms = positionals.length > 0 ? [...new Set(positionals)] : roomsByDefault;
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  const events = Readable.from(eventsOfAll(rooms, values.grep, tally));
  for await (const text of events.compose(new spec())) process.stdout.write(text);
  const { passed, failed, skipped } = tally;
  // A run in which nothing was tried has shown nothing, so it does not count as a success.
  const code = failed > 0 || passed === 0 ? 1 : 0;
  // What a file left behind (a pipe that a child of it still holds) must not keep us here.
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`, () => {
    process.exit(code);
  });
}

await main();
