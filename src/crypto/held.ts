/** A secret's lifetime: what is destroyed is let go of, and cannot be used by mistake as a key of zeros. */
import { KmsError } from '../model/errors.ts'

export interface Held<T> {
  /** The value; `CLOSED` after `destroy`. */
  use(): T
  /** Destroys the value and drops the reference, so that key objects of the host can be collected. Idempotent. */
  destroy(): void
}

export function held<T extends { destroy(): void }>(value: T): Held<T> {
  let current: T | undefined = value
  return {
    use() {
      if (current === undefined) throw new KmsError('CLOSED', 'this key version was destroyed: open the key again')
      return current
    },
    destroy() {
      current?.destroy()
      current = undefined
    },
  }
}
