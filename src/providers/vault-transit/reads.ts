/** What transit tells of keys: one, all, and their public parts. */
import { fromBase64, toBase64 } from '../../crypto/bytes.ts'
import { publicJwk } from '../../crypto/jwk.ts'
import { encodeEd25519Spki, fromPem, publicKeyPem } from '../../crypto/pkcs8.ts'
import { KmsError } from '../../model/errors.ts'
import type { Key, KeyType } from '../../model/key.ts'
import type { Input, Output } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import { type Answer, isSuccess } from './answer.ts'
import { failureOf, malformed } from './failure.ts'
import { nameOf } from './key-description.ts'
import type { Keys } from './keys.ts'
import { addTrace, evidenceOfTrace, newTrace, type Trace, traceOf } from './trace.ts'
import type { Asking, Transport } from './transport.ts'

export type ReadOperation = 'describeKey' | 'listKeys' | 'getPublicKey'

export type Reads = { readonly [O in ReadOperation]: (input: Input<O>, call: CallInfo) => Promise<Output<O>> }

/** Keys described at once for a list. */
const lanes = 8

export function transitReads({ ask }: Transport, keys: Keys, { prefix }: { readonly prefix: string }): Reads {
  return {
    async describeKey(input, call) {
      const { name } = await keys.of(input, call)
      const trace = newTrace()
      const { shown } = await keys.fresh(name, { trace, signal: call.signal })
      return { key: shown, provider: traceOf(trace) }
    },

    async listKeys(_input, call) {
      if (!keys.isHome(call.scope)) return { keys: [] }
      const trace = newTrace()
      const answer = await ask({ method: 'GET', path: 'keys?list=true' }, { trace, signal: call.signal })
      const { requestId } = trace
      const names = namesOf(answer, trace)
      const shown = await describeAll(names, { trace, signal: call.signal })
      if (requestId !== undefined) trace.requestId = requestId
      return { keys: shown, provider: traceOf(trace) }
    },

    async getPublicKey(input, call) {
      const { name } = await keys.of(input, call)
      const trace = newTrace()
      // Read anew: another version may have been made elsewhere.
      const key = await keys.fresh(name, { trace, signal: call.signal })
      if (key.derived || !/^(?:ed25519|ecdsa-p\d+|rsa-\d+)$/.test(key.ref.keyType))
        throw new KmsError(
          'UNSUPPORTED_OPERATION',
          `a ${key.derived ? 'derived key' : `key of type ${key.ref.keyType}`} has no public key`,
          {
            key: name,
            evidence: evidenceOfTrace(trace),
          },
        )
      const { keyVersion = key.ref.latestVersion } = input
      const text = key.publicKeys.get(keyVersion)
      if (text === undefined)
        throw new KmsError('VERSION_NOT_FOUND', `transit tells no public key of version ${keyVersion}`, {
          key: name,
          evidence: evidenceOfTrace(trace),
        })
      return { key: { ...key.ref }, keyVersion, ...publicKeyOf(key.ref.keyType, text, trace), provider: traceOf(trace) }
    },
  }

  /** In the order of `names`. A key that is gone meanwhile is left out. */
  async function describeAll(names: readonly string[], { trace, signal }: Asking): Promise<readonly Key[]> {
    const shown: (Key | undefined)[] = []
    let next = 0
    const lane = async () => {
      for (let at = next++; at < names.length; at = next++)
        shown[at] = await described(names[at] ?? '', { trace, signal })
    }
    await Promise.all(Array.from({ length: Math.min(lanes, names.length) }, lane))
    return shown.filter((key) => key !== undefined)
  }

  async function described(name: string, { trace, signal }: Asking): Promise<Key | undefined> {
    const own = newTrace()
    try {
      return (await keys.fresh(nameOf(name, prefix), { trace: own, signal })).shown
    } catch (error) {
      if (error instanceof KmsError && error.code === 'KEY_NOT_FOUND') return undefined
      throw error
    } finally {
      addTrace(trace, own)
    }
  }
}

function namesOf(answer: Answer, trace: Trace): readonly string[] {
  // No keys at all is a 404 without words.
  if (answer.status === 404 && answer.foreign !== true && answer.errors.length === 0) return []
  if (!isSuccess(answer)) throw failureOf(answer, { trace })
  const names = answer.data?.['keys']
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names
  throw malformed('it lists no keys', trace)
}

function publicKeyOf(
  keyType: string,
  text: string,
  trace: Trace,
): Pick<Output<'getPublicKey'>, 'publicKey' | 'spki' | 'jwk'> {
  const isEd25519 = keyType === 'ed25519'
  const raw = isEd25519 ? fromBase64(text) : undefined
  const spki = isEd25519 ? (raw?.length === 32 ? encodeEd25519Spki(raw) : undefined) : fromPem('PUBLIC KEY', text)
  if (spki === undefined) throw malformed('a public key is none', trace)
  try {
    // One of `transitTypes` that has a public key.
    const jwk = publicJwk(keyType as KeyType, spki)
    return { publicKey: raw === undefined ? publicKeyPem(spki) : toBase64(raw), spki, jwk }
  } catch (error) {
    if (error instanceof KmsError) throw malformed('a public key is of another type', trace)
    throw error
  }
}
