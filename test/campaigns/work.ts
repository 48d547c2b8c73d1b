/** Thirty calls, the same each time, and what their caller has in hand afterwards. */
import type { KmsClient } from '../../src/client.ts'
import type { Operation } from '../../src/model/operation.ts'
import { plaintextOf, type Seen, signedInput } from './seen.ts'

export interface Work {
  /** The results that left the client, each at the moment it left. */
  readonly seen: Seen[]
  /** Errors that left it. */
  readonly errors: unknown[]
  /** Makes the calls; that one is refused does not keep the others from being made. Between some of them it `rests`. */
  run(kms: KmsClient, rest: () => Promise<void>): Promise<void>
  /** Something that is no call of the client; it may be refused, too. */
  attempt(made: Promise<unknown>): Promise<void>
  /** One call more, a small one; resolves to whether it was answered. */
  probe(kms: KmsClient): Promise<boolean>
}

export function work(): Work {
  const seen: Seen[] = []
  const errors: unknown[] = []
  const ciphertexts: Uint8Array[] = []

  async function call(
    operation: Operation,
    key: string,
    made: Promise<{ readonly eventID: string; readonly keyVersion?: number }>,
  ): Promise<boolean> {
    try {
      const { eventID, keyVersion: version, ...output } = await made
      const bytes = bytesOf(output)
      if (operation === 'encrypt' && bytes !== undefined) ciphertexts.push(bytes)
      seen.push({
        eventID,
        operation,
        key,
        ...(version !== undefined && { version }),
        ...(bytes !== undefined && { bytes: Buffer.from(bytes).toString('base64') }),
      })
      return true
    } catch (error) {
      errors.push(error)
      return false
    }
  }

  return {
    seen,
    errors,
    async run(kms, rest) {
      const encrypt = (key: string) => call('encrypt', key, kms.encrypt({ key, plaintext: plaintextOf(key) }))
      const sign = (key: string) => call('sign', key, kms.sign({ key, input: signedInput }))
      const rotate = (key: string) => call('rotate', key, kms.rotate({ key }))
      const decrypt = (key: string, ciphertext = ciphertexts[0] ?? new Uint8Array(80)) =>
        call('decrypt', key, kms.decrypt({ key, ciphertext }))
      const create = (slug: string, keyType: 'aes256-gcm96' | 'ed25519') =>
        call('createKey', slug, kms.createKey({ slug, keyType, exportAllowed: true }))

      await create('seal', 'aes256-gcm96')
      await Promise.all([create('sign', 'ed25519'), encrypt('seal'), encrypt('seal')])
      await Promise.all([encrypt('seal'), sign('sign'), decrypt('seal')])
      await rest()
      await rotate('seal')
      await Promise.all([encrypt('seal'), decrypt('seal'), sign('sign'), encrypt('nowhere')])
      await call('export', 'seal', kms.export({ key: 'seal' }))
      await decrypt('seal', new Uint8Array(90).fill(1))
      await rest()
      await call('disableKey', 'seal', kms.disableKey({ key: 'seal' }))
      await Promise.all([encrypt('seal'), sign('sign')])
      await call('enableKey', 'seal', kms.enableKey({ key: 'seal' }))
      await Promise.all([rotate('sign'), rotate('seal'), encrypt('seal'), sign('sign')])
      await Promise.all([encrypt('seal'), sign('sign'), decrypt('seal')])
      await rest()
      await create('late', 'aes256-gcm96')
      await call('scheduleKeyDeletion', 'late', kms.scheduleKeyDeletion({ key: 'late' }))
      await call('cancelKeyDeletion', 'late', kms.cancelKeyDeletion({ key: 'late' }))
      await Promise.all([encrypt('seal'), encrypt('late'), sign('sign')])
    },
    async attempt(made) {
      await made.catch((error) => errors.push(error))
    },
    async probe(kms) {
      const { length } = errors
      const answered = await call('listKeys', '', kms.listKeys({}))
      // Its refusals are expected: whoever probes asks again.
      errors.length = length
      return answered
    },
  }
}

function bytesOf(output: Readonly<Record<string, unknown>>): Uint8Array | undefined {
  const bytes = output['ciphertext'] ?? output['signature']
  return bytes instanceof Uint8Array ? bytes : undefined
}
