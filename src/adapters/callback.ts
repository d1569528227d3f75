export type Callback = (error?: unknown) => void;
export type ResultCallback<T> = (error: unknown, result?: T) => void;

/**
 * Calls back once, and outside of the promise: what the callback throws is the app's to see, not
 * a reason to call it again with an error.
 */
export function settle<T>(work: Promise<T>, callback: ResultCallback<T> | undefined): void {
  work.then(
    (result) => {
      if (callback) process.nextTick(callback, null, result);
    },
    (error: unknown) => {
      if (callback) process.nextTick(callback, error);
    },
  );
}

/**
 * For callbacks that take nothing but an error. Undefined: there is nothing to wait for. It is
 * called in the next tick then, in time for the two pieces in which express-session gives Node a
 * response to leave in one write; a promise would be later than that.
 */
export function settleDone(
  begin: () => Promise<void> | undefined,
  callback: Callback | undefined,
): void {
  let work: Promise<void> | undefined;
  try {
    work = begin();
  } catch (error) {
    work = Promise.reject(error);
  }
  if (work !== undefined) settle(work, callback && ((error: unknown) => callback(error)));
  else if (callback !== undefined) process.nextTick(callback);
}

/**
 * For what is at hand already. Not at once: requests that arrived together are read first and then
 * served together, as with express-session's own store, which takes less time than to serve each
 * from its first octet to its last.
 */
export function settleSoon<T>(work: () => T, callback: ResultCallback<T>): void {
  setImmediate(() => {
    let result: T;
    try {
      result = work();
    } catch (error) {
      callback(error);
      return;
    }
    callback(null, result);
  });
}
