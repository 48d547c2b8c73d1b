/** The audit signers of a keystore. Portable. */
import { equal, wipe } from '../../crypto/bytes.ts'
import { ed25519Key } from '../../crypto/ed25519.ts'
import type { Ed25519Key, Engine } from '../../crypto/engine.ts'
import type { Signer } from '../../model/signer.ts'
import { closedError } from './keyring.ts'

export interface AuditSigners {
  /** The signer of the first seed; `previous` leads on to those of the others. The same seed is always the same signer. */
  of(seeds: readonly [Uint8Array, ...Uint8Array[]]): Signer
  /** Wipes every key: signers given out fail with `CLOSED` from here on. */
  close(): void
}

interface Made {
  readonly seed: Uint8Array
  readonly key: Ed25519Key
  readonly signer: Signer
}

/** Keys are made when they are first asked for. A trail that is open goes on with its signer after a rotation. */
export function auditSigners(engine: Engine): AuditSigners {
  let made: readonly Made[] | undefined = []

  function of([seed, ...former]: readonly [Uint8Array, ...Uint8Array[]]): Signer {
    if (made === undefined) throw closedError()
    const known = made.find((one) => equal(one.seed, seed))
    if (known !== undefined) return known.signer
    const key = ed25519Key(engine, seed)
    const signer = signerOf(key, former)
    made = [...made, { seed, key, signer }]
    return signer
  }

  function signerOf(key: Ed25519Key, [seed, ...older]: readonly Uint8Array[]): Signer {
    const signer: Signer = {
      get publicKey() {
        return key.publicKey.slice()
      },
      sign(message) {
        if (made === undefined) throw closedError()
        return key.sign(message)
      },
    }
    if (seed !== undefined) Object.defineProperty(signer, 'previous', { get: () => of([seed, ...older]) })
    return Object.freeze(signer)
  }

  return {
    of,
    close() {
      for (const { seed, key } of made ?? []) {
        key.destroy()
        wipe(seed)
      }
      made = undefined
    },
  }
}
