/** Telling a promise from a value: what keeps a call promise-free where nothing in it is asynchronous. */

export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
