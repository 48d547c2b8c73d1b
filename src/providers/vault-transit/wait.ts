/** Waiting that ends when the caller goes away. */
import { KmsError } from '../../model/errors.ts'
import { host, type Signal } from '../../model/host.ts'

/** What `promise` settles to; `ABORTED` as soon as `signal` says so, while `promise` goes on for others. */
export function untilAborted<T>(promise: Promise<T>, signal: Signal): Promise<T> {
  if (signal.aborted) {
    promise.catch(ignore)
    return Promise.reject(aborted())
  }
  return new Promise((resolve, reject) => {
    const abort = () => reject(aborted())
    signal.addEventListener('abort', abort, { once: true })
    const done = () => signal.removeEventListener('abort', abort)
    promise.then(resolve, reject)
    promise.then(done, done)
  })
}

/** Not the clock's timer: a call under way keeps its process alive, as its socket does. */
export function pause(ms: number, signal: Signal): Promise<void> {
  let timer: unknown
  const passed = new Promise<void>((resolve) => {
    timer = host.setTimeout(resolve, ms)
  })
  return untilAborted(passed, signal).finally(() => host.clearTimeout(timer))
}

export function aborted(): KmsError {
  return new KmsError('ABORTED', 'the call was aborted')
}

function ignore(): void {}
