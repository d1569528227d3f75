export type Callback = (error?: unknown) => void;
export type ResultCallback<T> = (error: unknown, result?: T) => void;

/**
 * Calls back once, and outside of the promise: what the callback throws is the app's to see, not
 * a reason to call it again with an error.
 */
export function settle<T>(
  work: Promise<T>,
  callback: ResultCallback<T> | undefined,
  later: (run: () => void) => void = process.nextTick,
): void {
  work.then(
    (result) => {
      if (callback) later(() => callback(null, result));
    },
    (error: unknown) => {
      if (callback) later(() => callback(error));
    },
  );
}

/**
 * Of a session that was loaded: once all input of this turn is in. A copy of a near cache is there
 * at once, and an app that answers each request before it reads the next gets less done.
 */
export function settleLoad<T>(work: Promise<T>, callback: ResultCallback<T>): void {
  settle(work, callback, setImmediate);
}

/** For callbacks that take nothing but an error. */
export function settleDone(work: Promise<void>, callback: Callback | undefined): void {
  settle(work, callback && ((error: unknown) => callback(error)));
}
