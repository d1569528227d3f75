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

/** For callbacks that take nothing but an error. */
export function settleDone(work: Promise<void>, callback: Callback | undefined): void {
  settle(work, callback && ((error: unknown) => callback(error)));
}
