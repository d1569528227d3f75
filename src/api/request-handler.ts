import { unreachable } from "../base/assert.ts";
import type { AckRequest, Refusal, WriteOutcome } from "../core/commands.ts";
import { localProtocolVersion, type RefusalReason, Verb } from "./messages.ts";
import type { MsgpackWriter } from "./msgpack.ts";
import {
  encodeCountReply,
  encodeGetReply,
  encodeListReply,
  encodePongReply,
  encodeRefusal,
  encodeReportReply,
  encodeWriteReply,
} from "./reply-codec.ts";
import type { Request, WriteRequest } from "./request-decoder.ts";
import type { ServerCounters } from "./server-counters.ts";
import type { SessionService } from "./service.ts";

const reasonOf: Readonly<Record<Refusal, RefusalReason>> = {
  exists: "sessionExists",
  too_large: "sessionTooLarge",
  too_many_attributes: "attributesTooMany",
  bad_id: "idInvalid",
};

/** Runs what writes a reply outside of the turn of its request, unless the client has gone. */
export type Later = (write: () => void) => void;

const nothing: readonly string[] = [];

/** Has the service do what valid requests ask for, and writes the replies. */
export class RequestHandler {
  readonly #service: SessionService;
  readonly #writer: MsgpackWriter;
  readonly #counters: ServerCounters;

  constructor(service: SessionService, writer: MsgpackWriter, counters: ServerCounters) {
    this.#service = service;
    this.#writer = writer;
    this.#counters = counters;
  }

  /**
   * Handles the request now, or once what it is about is known here, or replies once peers have
   * confirmed. What is written later is written through `later`, which sees to it that it leaves.
   */
  handle(request: Request, later: Later): void {
    const unknown = this.#unknownSessions(request);
    if (unknown.length === 0) {
      this.#handle(request, later);
      return;
    }
    const write = request.verb === Verb.get ? request.atLeast : undefined;
    let open = unknown.length;
    let known = true;
    for (const id of unknown) {
      this.#service.fetch(id, write, (isKnown) => {
        known &&= isKnown;
        open -= 1;
        if (open === 0) later(() => this.#fetched(request, known, later));
      });
    }
  }

  /** Sessions that must be fetched before the request can be handled truthfully. */
  #unknownSessions(request: Request): readonly string[] {
    if (!("id" in request)) return nothing;
    const write = request.verb === Verb.get ? request.atLeast : undefined;
    const isKnown = this.#service.knows(request.id, write);
    if (request.verb !== Verb.rotate) return isKnown ? nothing : [request.id];
    return [request.id, request.newId].filter((id) => !this.#service.knows(id));
  }

  #fetched(request: Request, known: boolean, later: Later): void {
    if (known) this.#handle(request, later);
    else if (request.verb === Verb.get && request.atLeast !== undefined) {
      this.refuse(request.requestId, "writeNotHere");
    } else this.refuse(request.requestId, "stillJoining");
  }

  #handle(request: Request, later: Later): void {
    const { requestId } = request;
    const service = this.#service;
    const writer = this.#writer;
    switch (request.verb) {
      case Verb.get:
        encodeGetReply(writer, requestId, service.get(request.id));
        break;
      case Verb.create:
        this.#wrote(
          request,
          service.create(request.id, request.attributes, request.lifetime),
          later,
        );
        break;
      case Verb.set:
        this.#wrote(request, service.set(request.id, request.attributes, request.lifetime), later);
        break;
      case Verb.patch:
        this.#wrote(request, service.patch(request.id, request.set, request.unset), later);
        break;
      case Verb.touch:
        this.#wrote(request, service.touch(request.id, request.idleMs), later);
        break;
      case Verb.destroy:
        this.#wrote(request, service.destroy(request.id), later);
        break;
      case Verb.rotate:
        this.#wrote(request, service.rotate(request.id, request.newId), later);
        break;
      case Verb.list:
        encodeListReply(writer, requestId, service.list(request.query));
        break;
      case Verb.count:
        encodeCountReply(writer, requestId, service.count());
        break;
      case Verb.stats:
        encodeReportReply(writer, requestId, service.stats());
        break;
      case Verb.ping:
        encodePongReply(writer, requestId);
        break;
      case Verb.hello:
        this.#hello(requestId);
        break;
      default:
        unreachable(request);
    }
  }

  refuse(requestId: number, reason: RefusalReason): void {
    this.#counters.refusals[reason] += 1;
    encodeRefusal(this.#writer, requestId, reason);
  }

  #hello(requestId: number): void {
    const { version, node, cluster, state } = this.#service.hello();
    const report = {
      protocol: localProtocolVersion,
      version,
      node,
      cluster,
      state,
      pid: process.pid,
    };
    encodeReportReply(this.#writer, requestId, report);
  }

  #wrote(request: WriteRequest, outcome: WriteOutcome, later: Later): void {
    const { requestId, ack } = request;
    if (outcome.refusal !== undefined) this.refuse(requestId, reasonOf[outcome.refusal]);
    else if (ack === undefined) encodeWriteReply(this.#writer, requestId, outcome);
    else if (outcome.stamp === undefined) encodeWriteReply(this.#writer, requestId, outcome, 0);
    else this.#confirm(request, ack, outcome, later);
  }

  #confirm(request: WriteRequest, ack: AckRequest, outcome: WriteOutcome, later: Later): void {
    const { requestId } = request;
    const id = request.verb === Verb.rotate ? request.newId : request.id;
    const waits = this.#service.confirm(id, ack, (peers) => {
      later(() => encodeWriteReply(this.#writer, requestId, outcome, peers));
    });
    if (!waits) this.refuse(requestId, "acksTooMany");
  }
}
