import { unreachable } from "../base/assert.ts";
import type { Refusal, WriteOutcome } from "../core/commands.ts";
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
import type { Request } from "./request-codec.ts";
import type { ServerCounters } from "./server-counters.ts";
import type { SessionService } from "./service.ts";

const reasonOf: Readonly<Record<Refusal, RefusalReason>> = {
  exists: "sessionExists",
  too_large: "sessionTooLarge",
  too_many_attributes: "attributesTooMany",
  bad_id: "idInvalid",
};

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

  /** The session that must be fetched before the request can be handled truthfully. */
  unknownSession(request: Request): string | undefined {
    return "id" in request && !this.#service.knows(request.id) ? request.id : undefined;
  }

  fetch(id: string, done: (known: boolean) => void): void {
    this.#service.fetch(id, done);
  }

  handle(request: Request): void {
    const { requestId } = request;
    const service = this.#service;
    const writer = this.#writer;
    switch (request.verb) {
      case Verb.get:
        encodeGetReply(writer, requestId, service.get(request.id));
        break;
      case Verb.create:
        this.#wrote(requestId, service.create(request.id, request.attributes, request.lifetime));
        break;
      case Verb.set:
        this.#wrote(requestId, service.set(request.id, request.attributes, request.lifetime));
        break;
      case Verb.patch:
        this.#wrote(requestId, service.patch(request.id, request.set, request.unset));
        break;
      case Verb.touch:
        this.#wrote(requestId, service.touch(request.id, request.idleMs));
        break;
      case Verb.destroy:
        this.#wrote(requestId, service.destroy(request.id));
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

  #wrote(requestId: number, outcome: WriteOutcome): void {
    if (outcome.refusal !== undefined) this.refuse(requestId, reasonOf[outcome.refusal]);
    else encodeWriteReply(this.#writer, requestId, outcome);
  }
}
