/** Secrets without a disk: for tests, and for hosts that keep nothing. Portable. */
import { copyOf, wipe } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import type { SecretChange, SecretStore, StoredSecret } from './store.ts'

export interface MemorySecretStoreOptions {
  /** In entries; `secret-memory` by default. */
  readonly name?: string
}

interface Kept {
  readonly secret: StoredSecret
  readonly values: Map<number, Uint8Array>
}

/** A store whose secrets are gone with the process. What a crash left open in a durable trail is `unknown` to it. */
export function memorySecretStore({ name = 'secret-memory' }: MemorySecretStoreOptions = {}): SecretStore {
  const kept = new Map<string, Kept>()
  // By path, also of deleted secrets until they may be forgotten.
  const lastChanges = new Map<string, string>()

  return Object.freeze({
    name,
    read: (path) => kept.get(path)?.secret,
    readValue({ path, id }, version) {
      const found = kept.get(path)
      const value = found?.secret.id === id ? found.values.get(version) : undefined
      return value && copyOf(value)
    },
    write(change) {
      const before = kept.get(change.path)
      if ((before?.secret.revision ?? 0) !== change.expectRevision)
        throw new KmsError('VERSION_CONFLICT', 'the secret was changed meanwhile: look at it again')
      if (change.secret === undefined) remove(change.path, before)
      else kept.set(change.path, { secret: change.secret, values: valuesAfter(before, change, change.secret) })
      lastChanges.set(change.path, change.operationID)
    },
    list({ prefix, after, limit }) {
      const paths = [...kept.keys()].filter((path) => path.startsWith(prefix) && path > after).sort()
      return paths.slice(0, limit).flatMap((path) => kept.get(path)?.secret ?? [])
    },
    outcomeOf: (operationID) => ([...lastChanges.values()].includes(operationID) ? 'done' : 'unknown'),
    forget() {
      for (const path of lastChanges.keys()) if (!kept.has(path)) lastChanges.delete(path)
    },
  } satisfies SecretStore)

  function remove(path: string, before: Kept | undefined): void {
    wipe(...(before?.values.values() ?? []))
    kept.delete(path)
  }
}

function valuesAfter(before: Kept | undefined, change: SecretChange, secret: StoredSecret): Map<number, Uint8Array> {
  const values = before?.values ?? new Map<number, Uint8Array>()
  if (change.value !== undefined) values.set(secret.latestVersion, copyOf(change.value))
  if (change.destroys !== undefined) {
    wipe(values.get(change.destroys) ?? new Uint8Array(0))
    values.delete(change.destroys)
  }
  return values
}
