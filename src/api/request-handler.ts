import { unreachable } from "../base/assert.ts";
import type { AckRequest, Refusal, WriteOutcome } from "../core/commands.ts";
import type { Subscription } from "./change-feed.ts";
import { type RefusalReason, Verb } from "./messages.ts";
import type { MsgpackWriter } from "./msgpack-writer.ts";
import {
  type AllDestroyed,
  encodeCountReply,
  encodeDestroyAllReply,
  encodeGetReply,
  encodeListReply,
  encodeNilReply,
  encodeRefusal,
  encodeReportReply,
  encodeUnwatchReply,
  encodeWriteReply,
} from "./reply-codec.ts";
import type {
  Addressed,
  BadRequest,
  DestroyAllRequest,
  FeedRequest,
  GetRequest,
  Request,
  ServiceRequest,
  WriteRequest,
} from "./requests.ts";
import type { ServerCounters } from "./server-counters.ts";
import type { SessionService } from "./service.ts";

const reasonOf: Readonly<Record<Refusal, RefusalReason>> = {
  exists: "sessionExists",
  changed: "sessionChanged",
  too_large: "sessionTooLarge",
  too_many_attributes: "attributesTooMany",
  bad_id: "idInvalid",
};

/** Writes a reply; `wasHeld`: not when it was due, since the client had too much to read. */
export type LateReply = (wasHeld: boolean) => void;

/** Whose requests are handled. */
export interface Caller {
  /**
   * Runs what writes a reply outside of the turn of its request, now or once there is room for it,
   * unless the client has gone.
   */
  later(write: LateReply): void;
  readonly subscription: Subscription;
}

const nothing: readonly string[] = [];
const noneDestroyed: AllDestroyed = { count: 0, stamp: undefined, complete: true };
const atOnce = (write: () => void) => write();

/** Has the service do what valid requests ask for, and writes the replies. */
export class RequestHandler {
  readonly #service: SessionService;
  readonly #writer: MsgpackWriter;
  readonly #counters: ServerCounters;
  readonly #verbs: ReadonlySet<Verb> | undefined;

  /** `verbs`: the only ones that it handles; all if that is left out. */
  constructor(
    service: SessionService,
    writer: MsgpackWriter,
    counters: ServerCounters,
    verbs?: ReadonlySet<Verb>,
  ) {
    this.#service = service;
    this.#writer = writer;
    this.#counters = counters;
    this.#verbs = verbs;
  }

  /** These come next: what is stored of their sessions will be wanted. */
  prefetch(requests: readonly (Request | BadRequest)[]): void {
    // How long a refusal takes must not tell who lives.
    if (this.#verbs !== undefined) return;
    const addressed: Addressed[] = [];
    for (const request of requests) if ("id" in request) addressed.push(request);
    if (addressed.length > 1) this.#service.prefetch(addressed);
  }

  /**
   * Handles the request now, or once what it is about is known here, or replies once peers have
   * confirmed. What is written later is written through the caller, which sees to it that it
   * leaves.
   */
  handle(request: ServiceRequest, caller: Caller): void {
    if (this.#verbs !== undefined && !this.#verbs.has(request.verb)) {
      this.refuse(request.requestId, "verbForbidden");
      return;
    }
    const unknown = this.#unknownSessions(request);
    if (unknown.length === 0) {
      this.#handle(request, caller);
      return;
    }
    const write = request.verb === Verb.get ? request.atLeast : undefined;
    let open = unknown.length;
    let known = true;
    for (const id of unknown) {
      this.#service.fetch(id, write, (isKnown) => {
        known &&= isKnown;
        open -= 1;
        if (open > 0) return;
        caller.later((wasHeld) => {
          // What was known then need not be any more.
          if (wasHeld) this.handle(request, caller);
          else this.#fetched(request, known, caller);
        });
      });
    }
  }

  /** Sessions that must be fetched before the request can be handled truthfully. */
  #unknownSessions(request: ServiceRequest): readonly string[] {
    if (!("id" in request)) return nothing;
    const write = request.verb === Verb.get ? request.atLeast : undefined;
    const isKnown = this.#service.knows(request.id, write);
    if (request.verb !== Verb.rotate) return isKnown ? nothing : [request.id];
    return [request.id, request.newId].filter((id) => !this.#service.knows(id));
  }

  #fetched(request: ServiceRequest, known: boolean, caller: Caller): void {
    if (known) this.#handle(request, caller);
    else if (request.verb === Verb.get && request.atLeast !== undefined) {
      this.refuse(request.requestId, "writeNotHere");
    } else this.refuse(request.requestId, "stillJoining");
  }

  #handle(request: ServiceRequest, caller: Caller): void {
    const { requestId } = request;
    const service = this.#service;
    const writer = this.#writer;
    switch (request.verb) {
      case Verb.get:
        this.#get(request, caller);
        break;
      case Verb.create:
        this.#wrote(
          request,
          service.create(request.id, request.attributes, request.lifetime),
          caller,
        );
        break;
      case Verb.set:
        this.#wrote(request, service.set(request.id, request.attributes, request.lifetime), caller);
        break;
      case Verb.patch:
        this.#wrote(
          request,
          service.patch(request.id, request.set, request.unset, request.ifStamp),
          caller,
        );
        break;
      case Verb.touch:
        this.#wrote(request, service.touch(request.id, request.idleMs), caller);
        break;
      case Verb.destroy:
        this.#wrote(request, service.destroy(request.id), caller);
        break;
      case Verb.rotate:
        this.#wrote(request, service.rotate(request.id, request.newId), caller);
        break;
      case Verb.list:
        if (this.#knowsAll(requestId)) {
          encodeListReply(writer, requestId, service.list(request.query));
        }
        break;
      case Verb.count:
        if (this.#knowsAll(requestId)) encodeCountReply(writer, requestId, service.count());
        break;
      case Verb.destroyAll:
        if (this.#knowsAll(requestId)) {
          this.#destroyAll(request, caller, atOnce, noneDestroyed);
        }
        break;
      case Verb.watch:
      case Verb.unwatch:
      case Verb.track:
        this.#feed(request, caller.subscription);
        break;
      case Verb.stats:
        encodeReportReply(writer, requestId, service.stats());
        break;
      case Verb.reloadKeys:
        this.#reloadKeys(requestId);
        break;
      case Verb.ping:
        encodeNilReply(writer, requestId);
        break;
      default:
        unreachable(request);
    }
  }

  /** Tells who this is, and in which version of the protocol the two are to speak. */
  greet(requestId: number, protocol: number): void {
    const { version, node, cluster, state } = this.#service.hello();
    const report = { protocol, version, node, cluster, state, pid: process.pid };
    encodeReportReply(this.#writer, requestId, report);
  }

  /** `detail`: what to say instead of the sentence that the reason has. */
  refuse(requestId: number, reason: RefusalReason, detail?: string): void {
    this.#counters.refusals[reason] += 1;
    encodeRefusal(this.#writer, requestId, reason, detail);
  }

  #reloadKeys(requestId: number): void {
    const outcome = this.#service.reloadKeys();
    if (typeof outcome === "string") this.refuse(requestId, "keysRefused", outcome);
    else encodeReportReply(this.#writer, requestId, { ...outcome });
  }

  #get({ requestId, id }: GetRequest, { subscription }: Caller): void {
    const view = this.#service.get(id);
    encodeGetReply(this.#writer, requestId, view);
    if (view !== undefined) subscription.read(id);
  }

  /** A node that is joining does not know yet what there is: a part must not be taken for all. */
  #knowsAll(requestId: number): boolean {
    const knows = this.#service.knowsAll();
    if (!knows) this.refuse(requestId, "stillJoining");
    return knows;
  }

  /**
   * Slice by slice, so that the sessions of one owner, however many, keep nobody waiting; all of
   * them, whether the client waits for the reply or has gone.
   */
  #destroyAll(
    request: DestroyAllRequest,
    caller: Caller,
    reply: (write: () => void) => void,
    before: AllDestroyed,
  ): void {
    const { requestId, owner, except } = request;
    const outcome = this.#service.destroyAll(owner, except);
    const sum = {
      count: before.count + outcome.count,
      stamp: outcome.stamp ?? before.stamp,
      complete: outcome.complete,
    };
    if (!outcome.more) reply(() => encodeDestroyAllReply(this.#writer, requestId, sum));
    else setImmediate(() => this.#destroyAll(request, caller, (write) => caller.later(write), sum));
  }

  #feed(request: FeedRequest, subscription: Subscription): void {
    const { requestId } = request;
    if (request.verb === Verb.unwatch) {
      encodeUnwatchReply(this.#writer, requestId, subscription.unwatch(request.watch));
      return;
    }
    if (request.verb === Verb.track) subscription.setTracking(requestId, request.countMax);
    else if (!subscription.watch(requestId, request.prefix)) {
      this.refuse(requestId, "watchInvalid");
      return;
    }
    encodeNilReply(this.#writer, requestId);
  }

  #wrote(request: WriteRequest, outcome: WriteOutcome, caller: Caller): void {
    const { requestId, ack } = request;
    if (outcome.refusal !== undefined) this.refuse(requestId, reasonOf[outcome.refusal]);
    else if (ack === undefined) encodeWriteReply(this.#writer, requestId, outcome);
    else if (outcome.stamp === undefined) encodeWriteReply(this.#writer, requestId, outcome, 0);
    else this.#confirm(request, ack, outcome, caller);
  }

  #confirm(request: WriteRequest, ack: AckRequest, outcome: WriteOutcome, caller: Caller): void {
    const { requestId } = request;
    const id = request.verb === Verb.rotate ? request.newId : request.id;
    const waits = this.#service.confirm(id, ack, (peers) => {
      caller.later(() => encodeWriteReply(this.#writer, requestId, outcome, peers));
    });
    if (!waits) this.refuse(requestId, "acksTooMany");
  }
}
