/** @node Rotation on demand, at once or when the test says so, and the rotation that the service does by its schedule. */
import { randomBytes } from 'node:crypto'
import { demandEnabled, demandSymmetric, type KeyStore, type Rotation, type ServiceKey } from './keys.ts'
import type { Handler } from './operation.ts'
import { refusal } from './refusal.ts'

export interface Rotations {
  readonly operations: Readonly<Record<string, Handler>>
  /** Ends rotations under way: from now on the new material encrypts. */
  complete(): void
  /** What AWS does by itself when a rotation falls due. */
  automatic(key: ServiceKey): void
}

/** Of AWS, for one key. */
const mostOnDemand = 25

export function rotations(store: KeyStore, now: () => number, mode: 'at-once' | 'by-hand'): Rotations {
  function add(key: ServiceKey, type: Rotation['type']): void {
    key.materials.push(randomBytes(32))
    key.rotations.push({ at: now(), type })
    key.rotatingSince = undefined
  }

  return {
    operations: {
      RotateKeyOnDemand(body) {
        const key = store.findById(body.required('KeyId'))
        demandEnabled(key)
        demandSymmetric(key)
        if (key.rotatingSince !== undefined)
          throw refusal('ConflictException', `${key.arn} has an on-demand rotation in progress.`)
        if (key.rotations.filter(({ type }) => type === 'ON_DEMAND').length >= mostOnDemand)
          throw refusal('LimitExceededException', 'The on-demand rotation limit of this key is reached')
        if (mode === 'at-once') add(key, 'ON_DEMAND')
        else key.rotatingSince = now()
        return { KeyId: key.id }
      },
    },
    complete() {
      for (const key of store.keys.values()) if (key.rotatingSince !== undefined) add(key, 'ON_DEMAND')
    },
    automatic: (key) => add(key, 'AUTOMATIC'),
  }
}
