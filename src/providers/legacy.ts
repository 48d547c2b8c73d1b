/** A home-made format on its way out: what it still opens is opened with an entry, and nothing new is sealed in it. Portable. */
import { copyOf } from '../crypto/bytes.ts'
import { evidenceOf, KmsError } from '../model/errors.ts'
import type { Signal } from '../model/host.ts'
import type { KeyRef, Scope } from '../model/key.ts'
import type { EncryptionContext, Input } from '../model/operation.ts'
import { andThen } from '../model/promise.ts'
import type { CallInfo, KmsProvider } from '../model/provider.ts'
import { orElse, undecryptable } from './in-turn.ts'

/** What the function that opens is told beside the ciphertext. */
export interface LegacyCall {
  /** The key's slug, as the caller named it. */
  readonly key: string
  /** What the caller gave, or nothing at all. A format that does not bind it opens with any: then it proves nothing. */
  readonly encryptionContext: EncryptionContext
  /** Aborts when the caller aborts or the deadline passes. */
  readonly signal: Signal
}

export interface LegacyOptions {
  /** What entries call it; `legacy` by default. */
  readonly name?: string
  /** Slugs of the keys that it has, each as a slug is: `^[a-z0-9][a-z0-9-]{0,62}$`. Without them it answers to any slug. */
  readonly keys?: readonly string[]
  /** The region and project of its keys: calls of another find none. Without it, of any. */
  readonly scope?: Scope
  /**
   * Opens a ciphertext, of which it gets a copy, or throws; `undefined` or `null` is a refusal too. What it answers is copied.
   * It must have authenticated what it gives out: what no MAC or AEAD protects, anyone may have changed.
   */
  readonly open: (
    ciphertext: Uint8Array,
    call: LegacyCall,
  ) => Uint8Array | null | undefined | Promise<Uint8Array | null | undefined>
}

const slugPattern = /^[a-z0-9][a-z0-9-]{0,62}$/

/**
 * A provider that only decrypts, by your own function: alone, to have an entry for each use of the old format, or as a `from` of
 * `migrating`, to leave it. Its keys are of the type `legacy`, have the identity `NAME/SLUG`, and no versions.
 *
 * Errors: whatever `open` throws is the one `INVALID_CIPHERTEXT`, without its message, except a `KmsError` of another code, which
 * passes as it is: throw `PROVIDER_UNAVAILABLE` where a key server did not answer. `KEY_NOT_FOUND` for a key that is not in `keys`;
 * `INTERNAL` if `open` answers with anything but bytes. `INVALID_INPUT` for a wrong option.
 *
 * @example
 * ```ts
 * const old = legacy({ keys: ['orders'], open: (ciphertext) => openWithTheOldLibrary(ciphertext) })
 * const kms = new KmsClient({ provider: migrating({ to: local, from: [old] }), audit: { required: [trail] } })
 * const moved = await kms.reEncrypt({ key: 'orders', ciphertext })
 * ```
 */
export function legacy(options: LegacyOptions): KmsProvider {
  const { name, keys, home, open } = checked(options)
  const prefix = `${name}/`

  function find(asked: string, scope: Scope): KeyRef {
    const slug = asked.startsWith(prefix) ? asked.slice(prefix.length) : asked
    const isHere = home === undefined || (home.region === scope.region && home.project === scope.project)
    if (isHere && (keys === undefined ? slugPattern.test(slug) : keys.has(slug)))
      return { identity: `${prefix}${slug}`, slug, keyType: 'legacy' }
    throw new KmsError('KEY_NOT_FOUND', `'${name}' has no such key in this region and project`, { key: asked })
  }

  function opened(input: Input<'decrypt'>, { key, signal }: LegacyOpening): Uint8Array | Promise<Uint8Array> {
    const call = { key: key.slug, encryptionContext: Object.freeze({ ...input.encryptionContext }), signal }
    const answer = orElse(() => open(copyOf(input.ciphertext), call), refused)
    return andThen(answer, plaintextOf)
  }

  return Object.freeze({
    name,
    operations: Object.freeze({
      decrypt: (input: Input<'decrypt'>, call: CallInfo) => {
        const key = find(call.key?.identity ?? input.key, call.scope)
        return andThen(opened(input, { key, signal: call.signal }), (plaintext) => ({ key, plaintext }))
      },
    }),
    resolve: find,
  })
}

interface LegacyOpening {
  readonly key: KeyRef
  readonly signal: Signal
}

/** `open` is foreign code: only what it says as a `KmsError` is believed, and of a ciphertext only that it does not open. */
function refused(error: unknown): never {
  if (!(error instanceof KmsError)) throw undecryptable({})
  throw error.code === 'INVALID_CIPHERTEXT' ? undecryptable(evidenceOf(error)) : error
}

function plaintextOf(answer: unknown): Uint8Array {
  if (answer === undefined || answer === null) throw undecryptable({})
  if (answer instanceof Uint8Array) return copyOf(answer)
  throw new KmsError('INTERNAL', "'open' must answer with a Uint8Array, or throw")
}

interface CheckedOptions {
  readonly name: string
  readonly keys: ReadonlySet<string> | undefined
  readonly home: Scope | undefined
  readonly open: LegacyOptions['open']
}

function checked(options: LegacyOptions): CheckedOptions {
  if (typeof options !== 'object' || options === null) refuse('legacy takes one object: { name?, keys?, open }')
  const { name = 'legacy', keys, scope, open } = options
  if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name)) refuse("'name' must be 1–64 letters, digits or . _ -")
  if (typeof open !== 'function') refuse("'open' must be a function that opens a ciphertext")
  if (
    keys !== undefined &&
    (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string' && slugPattern.test(key)))
  )
    refuse("'keys' must be a list of slugs")
  if (scope !== undefined && (typeof scope !== 'object' || scope === null))
    refuse("'scope' must be { region?, project? }")
  return { name, keys: keys && new Set(keys), home: scope && { ...scope }, open }
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
