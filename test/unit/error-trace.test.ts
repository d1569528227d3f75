import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { pack } from "msgpackr";
import { AssertionError } from "../../src/base/assert.ts";
import { traceOf } from "../../src/base/error-trace.ts";
import { unpackValue } from "../../src/client/values.ts";

const secret = "3kQzSecretOfASession";

function thrownBy(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("it was to throw");
}

test("a trace has the kind of the error and the places, and no word of its message", () => {
  const errors = [
    thrownBy(() => JSON.parse(secret)),
    thrownBy(() => BigInt(secret)),
    thrownBy(() => Buffer.from(secret as unknown as string, secret as BufferEncoding)),
    new TypeError(secret),
    new RangeError(`first line\n    at ${secret} (file:///a.js:1:2)\n${secret}`),
    Object.assign(new Error("E"), { code: secret, syscall: secret, name: `${secret} ` }),
    new Error("outer", { cause: new Error(secret) }),
    new Error(""),
  ];
  for (const error of errors) {
    const trace = traceOf(error);
    assert.doesNotMatch(trace, /3kQz|first line/);
    assert.match(
      trace,
      /^\w*Error( [A-Z_]+)?\n( {4}at .*\n)*? {4}at .*error-trace\.test\.js:\d+:\d+/,
    );
  }
});

test("a message that was exchanged afterwards takes the places along", () => {
  const error = new Error(secret);
  // The text is made when it is read for the first time.
  assert.match(error.stack ?? "", /3kQz/);
  error.message = "exchanged";
  assert.equal(traceOf(error), "Error");
});

test("what cannot be unpacked is not quoted, not even as a cause", () => {
  const octets = Buffer.concat([pack({ card: secret }), Buffer.from([0])]);
  const error = thrownBy(() => unpackValue(octets, 0, octets.length));
  assert.equal(error.name, "SessioncastError");
  assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /3kQz/);
});

test("codes and system calls say something, and so does the rule of an assertion", () => {
  const error = Object.assign(new Error("open /a"), { code: "ENOENT", syscall: "open" });
  assert.match(traceOf(error), /^Error ENOENT open\n/);
  const rule = traceOf(new AssertionError("a record is there"));
  assert.match(rule, /^AssertionError: broken invariant: a record is there\n/);
});

test("what is no error is told by its type", () => {
  assert.equal(traceOf(secret), "a string was thrown");
  assert.equal(traceOf(undefined), "a undefined was thrown");
});
