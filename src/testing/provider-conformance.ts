/** The provider seam's contract as cases that any test runner can run. */
import { v7 } from 'uuid'
import { utf8 } from '../crypto/bytes.ts'
import { evidenceOf, KmsError } from '../model/errors.ts'
import { host } from '../model/host.ts'
import type { Scope } from '../model/key.ts'
import { type Input, type Operation, type Output, operations } from '../model/operation.ts'
import type { KmsProvider } from '../model/provider.ts'
import { type ConformanceCase, demand, refusalOf } from './conformance.ts'

/** A provider with keys that the cases may use; names are slugs or identities. A case whose key is absent is skipped. */
export interface ProviderUnderTest {
  readonly provider: KmsProvider
  readonly keys: {
    /** Encrypts and decrypts; rotated where the provider can. */
    readonly encrypt?: string
    /** Another that encrypts and decrypts. */
    readonly other?: string
    readonly sign?: string
    readonly mac?: string
  }
  /** Where the keys live. */
  readonly scope?: Scope
  /**
   * Whether each answer names the key version that was used, as it should (`told`, the default); `untold` for a service
   * whose answers do not. Versions that are named must be right either way.
   */
  readonly versions?: 'told' | 'untold'
  /** Called after the case, whatever came of it. */
  dispose?(): void | Promise<void>
}

/**
 * Cases for a provider; `make` is called once a case. What the provider leaves out is not asked.
 *
 * @example
 * ```ts
 * for (const { name, run } of providerConformance(async () => {
 *   const provider = vaultTransit({ address, token })
 *   return { provider, keys: { encrypt: 'orders', sign: 'releases' } }
 * })) {
 *   test(name, run)
 * }
 * ```
 */
export function providerConformance(
  make: () => ProviderUnderTest | Promise<ProviderUnderTest>,
): readonly ConformanceCase[] {
  return cases.map(({ name, check }) => ({
    name,
    async run() {
      const tested = await make()
      try {
        await check(sessionOf(tested))
      } finally {
        await tested.dispose?.()
      }
    },
  }))
}

interface Session {
  readonly provider: KmsProvider
  readonly keys: ProviderUnderTest['keys']
  readonly scope: Scope
  readonly versions: 'told' | 'untold'
  /** Whether the provider leaves out any of `asked`. */
  lacks(...asked: readonly Operation[]): boolean
  /** Calls an operation as the client would, and holds what every answer must hold. */
  ask<O extends Operation>(operation: O, input: Input<O>, scope?: Scope): Promise<Output<O>>
  /** The KmsError that a call must end in. */
  refused<O extends Operation>(operation: O, input: Input<O>, scope?: Scope): Promise<KmsError>
}

function sessionOf({ provider, keys, scope: home = {}, versions = 'told' }: ProviderUnderTest): Session {
  async function ask<O extends Operation>(operation: O, input: Input<O>, scope: Scope = home): Promise<Output<O>> {
    const before = bytesIn(input).map((bytes) => Uint8Array.from(bytes))
    const output = await callOf(provider, operation, input, scope)
    for (const [at, bytes] of bytesIn(input).entries()) {
      demand(same(bytes, before[at]), `${operation} must not change the bytes of its input`)
    }
    for (const bytes of bytesIn(output)) {
      const whole = bytes.byteOffset === 0 && bytes.buffer.byteLength === bytes.length
      demand(whole, `bytes that ${operation} returns must own their whole ArrayBuffer`)
      demand(bytes.constructor === Uint8Array, `bytes that ${operation} returns must be plain Uint8Arrays`)
    }
    return output
  }

  return {
    provider,
    keys,
    scope: home,
    versions,
    lacks: (...asked) => asked.some((operation) => provider.operations[operation] === undefined),
    ask,
    async refused(operation, input, scope) {
      const refusal = await refusalOf(() => ask(operation, input, scope))
      demand(refusal instanceof KmsError, `${operation} must refuse with a KmsError, not ${String(refusal)}`)
      return refusal
    },
  }
}

async function callOf<O extends Operation>(
  provider: KmsProvider,
  operation: O,
  input: Input<O>,
  scope: Scope,
): Promise<Output<O>> {
  const run = provider.operations[operation]
  demand(run !== undefined, `${operation} is left out`)
  const named = 'key' in input && typeof input.key === 'string' ? input.key : undefined
  const key = named === undefined ? undefined : await provider.resolve?.(named, scope)
  const { signal } = new host.AbortController()
  const call = { operationID: v7(), scope, signal }
  return run.call(provider.operations, input, key === undefined ? call : { ...call, key })
}

interface ProviderCase {
  readonly name: string
  readonly check: (session: Session) => Promise<void>
}

const plaintext = utf8('a plaintext that nobody may read \u{1f511}')

const cases: readonly ProviderCase[] = [
  {
    name: 'has a name, and leaves out what it cannot do',
    async check({ provider }) {
      demand(typeof provider.name === 'string' && provider.name !== '', 'name must be a text that is not empty')
      for (const [operation, run] of Object.entries(provider.operations)) {
        demand(Object.hasOwn(operations, operation), `${operation} is no operation`)
        demand(typeof run === 'function', `${operation} must be a function, or be left out`)
      }
    },
  },
  {
    name: 'decrypts what it encrypted, and says with which key and version',
    async check({ keys: { encrypt: key }, versions, lacks, ask }) {
      if (key === undefined || lacks('encrypt', 'decrypt')) return
      const sealed = await ask('encrypt', { key, plaintext })
      const opened = await ask('decrypt', { key, ciphertext: sealed.ciphertext })
      demand(same(opened.plaintext, plaintext), 'decrypt must return the plaintext')
      for (const output of [sealed, opened]) {
        demandVersion(output.keyVersion, versions)
        demandTexts(output.key, ['identity', 'slug', 'keyType'])
      }
      demand(opened.keyVersion === sealed.keyVersion, 'decrypt must name the version that encrypted')
    },
  },
  {
    name: 'never makes the same ciphertext twice',
    async check({ keys: { encrypt: key }, lacks, ask }) {
      if (key === undefined || lacks('encrypt')) return
      const first = await ask('encrypt', { key, plaintext })
      const second = await ask('encrypt', { key, plaintext })
      demand(!same(first.ciphertext, second.ciphertext), 'encrypting twice must give two ciphertexts')
    },
  },
  {
    name: 'opens only with the same encryption context, and takes absent for empty',
    async check({ keys: { encrypt: key }, lacks, ask, refused }) {
      if (key === undefined || lacks('encrypt', 'decrypt')) return
      const encryptionContext = { order: '17', shop: 'é' }
      const { ciphertext } = await ask('encrypt', { key, plaintext, encryptionContext })
      await ask('decrypt', { key, ciphertext, encryptionContext: { shop: 'é', order: '17' } })
      for (const wrong of [
        {},
        { order: '17' },
        { ...encryptionContext, order: '18' },
        { ...encryptionContext, x: '' },
      ]) {
        const { code } = await refused('decrypt', { key, ciphertext, encryptionContext: wrong })
        demand(code === 'INVALID_CIPHERTEXT', `another encryption context must be INVALID_CIPHERTEXT, not ${code}`)
      }
      const plain = await ask('encrypt', { key, plaintext })
      await ask('decrypt', { key, ciphertext: plain.ciphertext, encryptionContext: {} })
    },
  },
  {
    name: 'fails to decrypt with one code and one message, whatever is wrong',
    async check({ keys: { encrypt: key, other }, lacks, ask, refused }) {
      if (key === undefined || lacks('encrypt', 'decrypt')) return
      const { ciphertext } = await ask('encrypt', { key, plaintext })
      const wrong = [...tampered(ciphertext), utf8('no ciphertext at all'), Uint8Array.of(0), new Uint8Array(200)]
      const refusals: KmsError[] = []
      for (const bytes of wrong) refusals.push(await refused('decrypt', { key, ciphertext: bytes }))
      refusals.push(await refused('decrypt', { key, ciphertext, encryptionContext: { added: 'later' } }))
      if (other !== undefined) refusals.push(await refused('decrypt', { key: other, ciphertext }))
      for (const { code } of refusals) demand(code === 'INVALID_CIPHERTEXT', `must be INVALID_CIPHERTEXT, not ${code}`)
      const messages = new Set(refusals.map(({ message }) => message))
      demand(messages.size === 1, `one message for every failure to decrypt, not: ${[...messages].join(' / ')}`)
    },
  },
  {
    name: 'keeps plaintext out of its errors',
    async check({ keys: { encrypt: key }, lacks, refused }) {
      if (key === undefined || lacks('decrypt')) return
      const secret = 'correct horse battery staple'
      const error = await refused('decrypt', { key, ciphertext: utf8(secret) })
      const told = `${error.message} ${error.stack ?? ''} ${String(error.cause)} ${JSON.stringify(error)} ${JSON.stringify(evidenceOf(error))}`
      demand(!told.includes(secret), 'an error must not quote its input')
    },
  },
  {
    name: 'signs what it verifies, and answers false for anything else',
    async check({ keys: { sign: key }, lacks, ask }) {
      if (key === undefined || lacks('sign', 'verify')) return
      const input = utf8('a release')
      const { signature, keyVersion } = await ask('sign', { key, input })
      const right = await ask('verify', { key, input, signature })
      demand(right.valid === true, 'verify must accept what sign made')
      demand(right.keyVersion === keyVersion, 'verify must name the version that signed')
      const other = await ask('verify', { key, input: utf8('another'), signature })
      demand(other.valid === false, 'verify must answer false for another input')
      for (const bytes of [...tampered(signature), Uint8Array.of(0)]) {
        const { valid } = await ask('verify', { key, input, signature: bytes })
        demand(valid === false, 'verify must answer false for a signature that was changed')
      }
    },
  },
  {
    name: 'authenticates what it verifies, and answers false for anything else',
    async check({ keys: { mac: key }, lacks, ask }) {
      if (key === undefined || lacks('hmac', 'verifyHmac')) return
      const input = utf8('a message')
      const { hmac } = await ask('hmac', { key, input })
      demand((await ask('verifyHmac', { key, input, hmac })).valid === true, 'verifyHmac must accept what hmac made')
      const other = await ask('verifyHmac', { key, input: utf8('another'), hmac })
      demand(other.valid === false, 'verifyHmac must answer false for another input')
      for (const bytes of [...tampered(hmac), Uint8Array.of(0)]) {
        const { valid } = await ask('verifyHmac', { key, input, hmac: bytes })
        demand(valid === false, 'verifyHmac must answer false for a MAC that was changed')
      }
    },
  },
  {
    name: 'makes a data key whose ciphertext opens to it',
    async check({ keys: { encrypt: key }, lacks, ask }) {
      if (key === undefined || lacks('generateDataKey', 'decrypt')) return
      const encryptionContext = { volume: '3' }
      const dataKey = await ask('generateDataKey', { key, length: 32, encryptionContext })
      demand(dataKey.plaintext.length === 32, 'a data key must be as long as was asked')
      const opened = await ask('decrypt', { key, ciphertext: dataKey.ciphertext, encryptionContext })
      demand(same(opened.plaintext, dataKey.plaintext), 'its ciphertext must open to the data key')
    },
  },
  {
    name: 're-encrypts to another key without changing the plaintext',
    async check({ keys: { encrypt: key, other }, lacks, ask }) {
      if (key === undefined || other === undefined || lacks('encrypt', 'decrypt', 'reEncrypt')) return
      const { ciphertext } = await ask('encrypt', { key, plaintext })
      const moved = await ask('reEncrypt', { key, ciphertext, destinationKey: other })
      const opened = await ask('decrypt', { key: other, ciphertext: moved.ciphertext })
      demand(same(opened.plaintext, plaintext), 'the destination key must open the plaintext')
      demand(moved.destinationKey.identity === opened.key.identity, 'destinationKey must name the destination')
    },
  },
  {
    name: 'rotates to the next version, and still opens what the version before sealed',
    async check({ keys: { encrypt: key }, versions, lacks, ask, refused }) {
      if (key === undefined || lacks('encrypt', 'decrypt', 'rotate')) return
      const before = await ask('encrypt', { key, plaintext })
      const rotated = await ask('rotate', { key })
      const after = await ask('encrypt', { key, plaintext })
      const latest = rotated.key.latestVersion
      const named = rotated.keyVersion ?? latest
      if (versions === 'told') demand(after.keyVersion === named, 'encrypt must use the newest version')
      demand(isVersion(latest) && latest > 1, 'rotate must return the key with its newer version')
      demand(named === latest, 'rotate must name the newest version')
      demandVersion(after.keyVersion, versions, latest)
      const opened = await ask('decrypt', { key, ciphertext: before.ciphertext })
      demand(same(opened.plaintext, plaintext), 'the older version must still open its ciphertexts')
      demand(opened.keyVersion === before.keyVersion, 'decrypt must name the older version')
      const stale = before.keyVersion ?? latest - 1
      const { code } = await refused('rotate', { key, expectLatestVersion: stale })
      demand(
        code === 'VERSION_CONFLICT',
        `rotate from a version that is not the latest must be VERSION_CONFLICT, not ${code}`,
      )
    },
  },
  {
    name: 'refuses a version that does not exist',
    async check({ keys: { encrypt: key }, lacks, refused }) {
      if (key === undefined || lacks('encrypt')) return
      const { code } = await refused('encrypt', { key, plaintext, keyVersion: 4_000_000_000 })
      demand(code === 'VERSION_NOT_FOUND', `must be VERSION_NOT_FOUND, not ${code}`)
    },
  },
  {
    name: 'refuses a key that does not exist, in its scope or at all',
    async check({ provider, keys: { encrypt: key }, scope, lacks, refused }) {
      if (key === undefined || lacks('encrypt')) return
      const { code } = await refused('encrypt', { key: 'no-such-key', plaintext })
      demand(code === 'KEY_NOT_FOUND', `must be KEY_NOT_FOUND, not ${code}`)
      if (provider.resolve === undefined) return
      const elsewhere = await refused('encrypt', { key, plaintext }, { ...scope, project: 'no-such-project' })
      demand(elsewhere.code === 'KEY_NOT_FOUND', `must be KEY_NOT_FOUND in another project, not ${elsewhere.code}`)
    },
  },
  {
    name: 'resolves a slug and an identity to the same key, the one that its answers name',
    async check({ provider, keys: { encrypt: key }, scope, lacks, ask }) {
      if (key === undefined || provider.resolve === undefined) return
      const found = await provider.resolve(key, scope)
      demandTexts(found, ['identity', 'slug', 'keyType'])
      for (const name of [found.identity, found.slug]) {
        const again = await provider.resolve(name, scope)
        demand(again.identity === found.identity, 'identity and slug must resolve to the same key')
      }
      if (lacks('encrypt')) return
      const { key: used } = await ask('encrypt', { key, plaintext })
      demand(used.identity === found.identity, 'the key of an answer must be the one resolved')
    },
  },
  {
    name: 'gives the public key of a signing key',
    async check({ keys: { sign: key }, versions, lacks, ask }) {
      if (key === undefined || lacks('getPublicKey')) return
      const { publicKey, spki, keyVersion } = await ask('getPublicKey', { key })
      demand(typeof publicKey === 'string' && publicKey !== '', 'publicKey must be text')
      demand(spki instanceof Uint8Array && spki[0] === 0x30, 'spki must be the DER of a SubjectPublicKeyInfo')
      demandVersion(keyVersion, versions)
    },
  },
  {
    name: 'does not claim an operation that it has never seen',
    async check({ provider }) {
      if (provider.outcomeOf === undefined) return
      const outcome = await provider.outcomeOf(v7())
      demand(outcome === 'not-done' || outcome === 'unknown', `must be not-done or unknown, not ${outcome}`)
    },
  },
  {
    name: 'closes twice',
    async check({ provider }) {
      await provider.close?.()
      await provider.close?.()
    },
  },
]

/** Copies with one bit changed here and there, one byte too few, and one too many. */
function tampered(bytes: Uint8Array): readonly Uint8Array[] {
  const places = new Set([0, 1, 4, 5, bytes.length >> 1, bytes.length - 17, bytes.length - 1])
  const changed = [...places]
    .filter((at) => at >= 0 && at < bytes.length)
    .map((place) => bytes.map((byte, at) => (at === place ? byte ^ 0x04 : byte)))
  return [...changed, bytes.slice(0, -1), Uint8Array.of(...bytes, 0)]
}

/** All byte arrays among the fields of an input or output. */
function bytesIn(value: object): readonly Uint8Array[] {
  return Object.values(value).filter((field) => field instanceof Uint8Array)
}

function same(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((byte, at) => byte === b[at])
}

function isVersion(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 1
}

/** A version that is named must be one, and `expected` where that is known. */
function demandVersion(version: unknown, versions: 'told' | 'untold', expected?: number): void {
  if (version === undefined && versions === 'untold') return
  demand(isVersion(version), 'keyVersion must be an integer of 1 or more')
  demand(expected === undefined || version === expected, `keyVersion must be ${expected}, not ${version}`)
}

function demandTexts(value: object, names: readonly string[]): void {
  const fields = new Map<string, unknown>(Object.entries(value))
  for (const name of names) demand(typeof fields.get(name) === 'string', `key.${name} must be text`)
}
