/** encrypt, decrypt, reEncrypt and generateDataKey. */
import { engine } from '#engine'
import { fromBase64, fromUtf8, toBase64, utf8, wipe } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import type { Signal } from '../../model/host.ts'
import type { Input, Output } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import { type Fields, isSuccess } from './answer.ts'
import { associatedDataCheck } from './associated-data.ts'
import { batches, type Item } from './batches.ts'
import { type Bound, boundBy } from './context.ts'
import { afterOpening, failureOf, malformed, undecryptable } from './failure.ts'
import { isVersion, type TransitKey } from './key-description.ts'
import type { Keys } from './keys.ts'
import { readVersioned } from './spelling.ts'
import { addTrace, newTrace, type Trace, traceOf } from './trace.ts'
import type { Transport } from './transport.ts'

export type EncryptionOperation = 'encrypt' | 'decrypt' | 'reEncrypt' | 'generateDataKey'

export type Encryption = {
  readonly [O in EncryptionOperation]: (input: Input<O>, call: CallInfo) => Promise<Output<O>>
}

/** Bytes that transit makes data keys of. */
const dataKeyLengths: readonly number[] = [16, 32, 64]

export function transitEncryption(transport: Transport, keys: Keys): Encryption {
  const join = batches(transport)
  const requireAssociatedData = associatedDataCheck(transport)

  async function seal(key: TransitKey, { plaintext, bound, keyVersion }: Sealing, signal: Signal): Promise<Sealed> {
    const fields = {
      plaintext: toBase64(plaintext),
      ...bound,
      ...(keyVersion !== undefined && { key_version: keyVersion }),
    }
    const item: Item = { verb: 'encrypt', name: key.name, fields, size: fields.plaintext.length + 256 }
    const { data, trace } = await send(item, bound, signal)
    const sealed = ciphertextOf(data, trace)
    if (keyVersion !== undefined && sealed.keyVersion !== keyVersion) throw malformed('it used another version', trace)
    return { ...sealed, trace }
  }

  /** The caller wipes the plaintext. */
  async function open(key: TransitKey, { ciphertext, bound }: Opening, signal: Signal): Promise<Opened> {
    const { text, version } = ciphertextText(key, ciphertext)
    const fields = { ciphertext: text, ...bound }
    const item: Item = { verb: 'decrypt', name: key.name, fields, size: text.length + 256, opens: { version } }
    const { data, trace } = await send(item, bound, signal)
    const plaintext = base64Of(data['plaintext'])
    if (plaintext === undefined) throw malformed('it holds no plaintext', trace)
    return { plaintext, keyVersion: version, trace }
  }

  async function send(item: Item, bound: Bound, signal: Signal): ReturnType<typeof join> {
    const checking = newTrace()
    if (bound.associated_data !== undefined) await requireAssociatedData(item, { trace: checking, signal })
    const answer = await join(item, signal)
    addTrace(answer.trace, checking)
    return answer
  }

  async function rewrap(key: TransitKey, { ciphertext, bound }: Opening, signal: Signal): Promise<Rewrapped> {
    const { text, version } = ciphertextText(key, ciphertext)
    const trace = newTrace()
    const body = { ciphertext: text, ...bound }
    const answer = await transport.ask({ method: 'POST', path: `rewrap/${key.name}`, body }, { trace, signal })
    if (!isSuccess(answer)) throw failureOf(answer, { key: key.name, opens: { version }, trace })
    return { ...ciphertextOf(answer.data, trace), openedWith: version, trace }
  }

  return {
    async encrypt(input, call) {
      const key = await keys.of(input, call)
      const { plaintext, keyVersion } = input
      const bound = boundBy(key, input.encryptionContext)
      const sealed = await seal(key, { plaintext, bound, keyVersion }, call.signal)
      return {
        key: keys.used(key, sealed.keyVersion),
        keyVersion: sealed.keyVersion,
        ciphertext: sealed.ciphertext,
        provider: traceOf(sealed.trace),
      }
    },

    async decrypt(input, call) {
      const key = await keys.of(input, call)
      const bound = boundBy(key, input.encryptionContext)
      const { plaintext, keyVersion, trace } = await open(key, { ciphertext: input.ciphertext, bound }, call.signal)
      return { key: keys.used(key, keyVersion), keyVersion, plaintext, provider: traceOf(trace) }
    },

    async reEncrypt(input, call) {
      const key = await keys.of(input, call)
      const { destinationKey, ciphertext } = input
      const destination = destinationKey === undefined ? key : await keys.named(destinationKey, call.scope)
      const bound = boundBy(key, input.encryptionContext)
      const next = boundBy(destination, input.destinationEncryptionContext ?? input.encryptionContext)
      if (destination.ref.identity === key.ref.identity && staysInside(bound, next)) {
        const made = await rewrap(key, { ciphertext, bound }, call.signal)
        const ref = keys.used(key, made.keyVersion)
        return {
          key: ref,
          keyVersion: made.openedWith,
          ciphertext: made.ciphertext,
          destinationKey: { ...ref },
          destinationKeyVersion: made.keyVersion,
          provider: traceOf(made.trace),
        }
      }
      const opened = await open(key, { ciphertext, bound }, call.signal)
      try {
        const sealed = await seal(
          destination,
          { plaintext: opened.plaintext, bound: next, keyVersion: undefined },
          call.signal,
        )
        // The request that opened it is the one to look for in the service's log.
        addTrace(opened.trace, sealed.trace)
        return {
          key: keys.used(key, opened.keyVersion),
          keyVersion: opened.keyVersion,
          ciphertext: sealed.ciphertext,
          destinationKey: keys.used(destination, sealed.keyVersion),
          destinationKeyVersion: sealed.keyVersion,
          provider: traceOf(opened.trace),
        }
      } catch (error) {
        throw afterOpening(error, opened)
      } finally {
        wipe(opened.plaintext)
      }
    },

    async generateDataKey(input, call) {
      const key = await keys.of(input, call)
      const { length = 32 } = input
      if (!dataKeyLengths.includes(length))
        throw new KmsError(
          'INVALID_INPUT',
          `transit makes data keys of ${dataKeyLengths.join(', ')} bytes, not ${length}`,
          { key: key.name },
        )
      const bound = boundBy(key, input.encryptionContext)
      const made =
        bound.associated_data === undefined
          ? theirs(key, { length, bound }, call.signal)
          : ours(key, { length, bound }, call.signal)
      const { plaintext, ciphertext, keyVersion, trace } = await made
      return { key: keys.used(key, keyVersion), keyVersion, plaintext, ciphertext, provider: traceOf(trace) }
    },
  }

  async function theirs(key: TransitKey, { length, bound }: DataKey, signal: Signal): Promise<Sealed & WithPlaintext> {
    const trace = newTrace()
    const body = { bits: 8 * length, ...bound }
    const answer = await transport.ask(
      { method: 'POST', path: `datakey/plaintext/${key.name}`, body },
      { trace, signal },
    )
    if (!isSuccess(answer)) throw failureOf(answer, { key: key.name, trace })
    const plaintext = base64Of(answer.data?.['plaintext'])
    if (plaintext?.length !== length) throw malformed('it holds no such data key', trace)
    return { plaintext, ...ciphertextOf(answer.data, trace), trace }
  }

  /** transit's `datakey` takes no associated data: the key is made by the host's generator, and sealed with it. */
  async function ours(key: TransitKey, { length, bound }: DataKey, signal: Signal): Promise<Sealed & WithPlaintext> {
    const plaintext = new Uint8Array(length)
    engine.randomFill(plaintext)
    try {
      return { plaintext, ...(await seal(key, { plaintext, bound, keyVersion: undefined }, signal)) }
    } catch (error) {
      wipe(plaintext)
      throw error
    }
  }
}

interface Sealing {
  readonly plaintext: Uint8Array
  readonly bound: Bound
  readonly keyVersion: number | undefined
}

interface Opening {
  readonly ciphertext: Uint8Array
  readonly bound: Bound
}

interface DataKey {
  readonly length: number
  readonly bound: Bound
}

interface SealedText {
  readonly ciphertext: Uint8Array
  readonly keyVersion: number
}

interface Sealed extends SealedText {
  readonly trace: Trace
}

interface WithPlaintext {
  readonly plaintext: Uint8Array
}

interface Opened extends WithPlaintext {
  readonly keyVersion: number
  readonly trace: Trace
}

interface Rewrapped extends Sealed {
  readonly openedWith: number
}

/** `rewrap` takes no associated data, and one derivation context for both sides. */
function staysInside(bound: Bound, next: Bound): boolean {
  return bound.associated_data === undefined && next.associated_data === undefined && bound.context === next.context
}

/** What does not have the one spelling is refused here, and never sent. */
function ciphertextText(key: TransitKey, ciphertext: Uint8Array): { readonly text: string; readonly version: number } {
  const text = fromUtf8(ciphertext) ?? ''
  const version = readVersioned(text)?.version
  if (version === undefined) throw undecryptable({ key: key.name, trace: newTrace() }, 'malformed')
  return { text, version }
}

function ciphertextOf(data: Fields | undefined, trace: Trace): SealedText {
  const text = data?.['ciphertext']
  const read = typeof text === 'string' ? readVersioned(text) : undefined
  const told = data?.['key_version']
  if (typeof text !== 'string' || read === undefined) throw malformed('it holds no ciphertext', trace)
  if (told !== undefined && (!isVersion(told) || told !== read.version)) throw malformed('it names two versions', trace)
  return { ciphertext: utf8(text), keyVersion: read.version }
}

function base64Of(value: unknown): Uint8Array | undefined {
  return typeof value === 'string' ? fromBase64(value) : undefined
}
