type Method = (...given: unknown[]) => unknown;

/** The parts of a response of `node:http` that are used. */
export interface HttpResponse {
  readonly headersSent: boolean;
  writeHead: Method;
  write: Method;
  end: Method;
  _implicitHeader: Method;
  appendHeader(name: string, value: string): unknown;
}

/** A request as express-session leaves it. */
export interface SessionRequest {
  readonly headers: { readonly cookie?: string | undefined };
  sessionID?: string;
  session?: LiveSession | null;
}

interface LiveSession {
  touch?(): unknown;
  save?(callback: (error?: unknown) => void): unknown;
}

/** What middleware of Express and Connect looks like. */
export type Middleware = (
  request: SessionRequest,
  response: HttpResponse,
  next: (error?: unknown) => void,
) => unknown;

/** Runs `act`; nothing that it writes leaves before the response is ended. */
export type Hold = (act: () => unknown) => unknown;

/** What is to be known of a session when its request ends. */
export interface SessionAtEnd {
  isWorthSaving(session: object): boolean;
  /** It could not be saved, and the answer to that need not wait for it once more. */
  failed(session: object): void;
}

/** Calls once, when the headers are about to be written and can still be added to. */
export function beforeHeaders(response: HttpResponse, act: () => void): void {
  const { writeHead } = response;
  let isDone = false;
  response.writeHead = (...given) => {
    if (!isDone) act();
    isDone = true;
    return writeHead.apply(response, given);
  };
}

/** To be called before express-session is: it must meet the methods that are put in place here. */
export function holdUntilEnd(response: HttpResponse): Hold {
  const { write, end, _implicitHeader } = response;
  let held: unknown[][] | undefined;
  response.write = (...given) => {
    if (held === undefined) return write.apply(response, given);
    held.push(given);
    return true;
  };
  response.end = (...given) => {
    if (held !== undefined) {
      response._implicitHeader = _implicitHeader;
      for (const each of held.splice(0)) write.apply(response, each);
      held = undefined;
    }
    return end.apply(response, given);
  };
  return (act) => {
    held = [];
    response._implicitHeader = () => {};
    return act();
  };
}

/**
 * express-session writes the headers of a response before it knows what came of the save at its
 * end. With this the save is over before anything is written; if it fails, the error handlers of
 * the app may still answer. If the app has begun to write by itself, it is too late for both.
 * A session that is gone may be one that express-session destroys now (`unset`): what it writes
 * meanwhile is held until that is done.
 */
export function saveBeforeEnd(
  request: SessionRequest,
  response: HttpResponse,
  at: SessionAtEnd & { readonly hold: Hold },
  next: (error?: unknown) => void,
): void {
  const { end } = response;
  let stage: "open" | "held" | "saving" | "saved" = "open";
  response.end = (...given) => {
    const { session } = request;
    // It has been ended; express-session takes no notice of a second time either.
    if (stage === "saving" || stage === "held") return response;
    const isLate = stage === "saved" || response.headersSent;
    if (!isLate && !session) {
      stage = "held";
      return at.hold(() => end.apply(response, given));
    }
    if (isLate || !session?.save || !at.isWorthSaving(session)) return end.apply(response, given);
    stage = "saving";
    session.touch?.();
    session.save((error) => {
      stage = "saved";
      if (error === undefined || error === null) end.apply(response, given);
      else {
        at.failed(session);
        next(error);
      }
    });
    return response;
  };
}
