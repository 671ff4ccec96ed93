/**
 * The end of an attempt without a decision. `code` is an ending of the catalogue, an error code or a close code;
 * `retryAfterMs` the time until the next attempt, if there is one.
 */
export class Ended extends Error {
  constructor(code, retryAfterMs = 0) {
    super(code);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Settles as the promise does, or rejects with the signal's reason as soon as that is aborted. */
export function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort);
  });
}

export function delay(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
