/** What a run does not try, because this provider does not do it, or not in this process. */
import type { KmsProvider } from '../../model/provider.ts'
import type { DueOperation } from './due.ts'

export interface LeftOut {
  readonly operation: DueOperation
  /** `provider`: it has no such operation. `read-only`: its keystore is changed by another process, whose scheduler does it. */
  readonly because: 'provider' | 'read-only'
  /** For people. */
  readonly message: string
}

/** Those of `wanted`. */
export function leftOutOf(provider: KmsProvider, wanted: readonly DueOperation[]): readonly LeftOut[] {
  return wanted.flatMap((operation): readonly LeftOut[] => {
    if (provider.operations[operation] === undefined) {
      const message = `the provider '${provider.name}' ${byItself[operation]}`
      return [{ operation, because: 'provider', message }]
    }
    if (!isReadOnly(provider)) return []
    const message = `the keystore of '${provider.name}' is open read-only: run this where it is changed`
    return [{ operation, because: 'read-only', message }]
  })
}

const byItself: { readonly [O in DueOperation]: string } = {
  rotateScheduled: 'rotates by itself (updateRotation), or not at all: nothing is to be scheduled here',
  destroyKey: 'destroys by itself, or not at all: nothing is to be scheduled here',
}

/** It may have a keystore, and says that it may change none. */
function isReadOnly({ binding, behind }: KmsProvider): boolean {
  if (binding === undefined || behind !== undefined) return false
  try {
    return binding() === undefined
  } catch {
    // Closed: each call says so itself.
    return false
  }
}
