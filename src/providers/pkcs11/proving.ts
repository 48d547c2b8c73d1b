/** Signatures and MACs by keys of the token, and their public keys. */
import { concat, equal } from '../../crypto/bytes.ts'
import { publicJwk } from '../../crypto/jwk.ts'
import { checkOption } from '../../crypto/options.ts'
import { KmsError } from '../../model/errors.ts'
import type { HashAlgorithm, Input, Output } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import type { TokenKey, TokenVersion } from './assemble.ts'
import { type Calls, noPublicKey, type Took, traceOf } from './calls.ts'
import { ckm } from './constants.ts'
import { refOf } from './keys.ts'
import { signingOf, type Verifier, verifierOf } from './signatures.ts'

type ProofOperation = 'sign' | 'verify' | 'hmac' | 'verifyHmac' | 'getPublicKey'

export type Proofs = { readonly [O in ProofOperation]: (input: Input<O>, call: CallInfo) => Promise<Output<O>> }

interface MacInput {
  readonly input: Uint8Array
  readonly hashAlgorithm?: HashAlgorithm
}

export function tokenProofs({ keys, withKey, ask, need }: Calls): Proofs {
  const verifiers = new WeakMap<TokenVersion, Verifier>()
  /** Whose public key has verified what its private key signed. */
  const proven = new WeakSet<TokenVersion>()

  function verifierFor(key: TokenKey, version: TokenVersion): Verifier {
    const known = verifiers.get(version)
    if (known !== undefined) return known
    if (version.publicKey === undefined) throw noPublicKey(key, version)
    const made = verifierOf(key.type, version.publicKey)
    verifiers.set(version, made)
    return made
  }

  /** Before the first signature of a version leaves: the public object beside a private key may be anybody's. */
  async function prove(
    key: TokenKey,
    version: TokenVersion,
    made: Input<'sign'>,
    signature: Uint8Array,
  ): Promise<void> {
    if (version.publicKey === undefined || proven.has(version)) return
    if (!(await verifierFor(key, version)(made.input, signature, made))) {
      const message = `the token's public key does not verify what the private key ${version.object.label} signs`
      throw new KmsError('INTERNAL', message, { key: key.slug, evidence: { keyVersion: version.version } })
    }
    proven.add(version)
  }

  async function mac(
    key: TokenKey,
    version: TokenVersion,
    { input, hashAlgorithm }: MacInput,
    call: CallInfo,
  ): Promise<{ readonly hmac: Uint8Array; readonly took: Took }> {
    const { kind, keyType } = key.type
    if (kind.is !== 'hmac') throw new KmsError('INTERNAL', `a key of type ${keyType} has no MAC`)
    checkOption(keyType, 'hashAlgorithm', hashAlgorithm, [kind.hashAlgorithm])
    need(kind.mechanism)
    const scheme = { is: 'bare', mechanism: ckm[kind.mechanism] } as const
    const { output, ...took } = await ask(
      version,
      'sign',
      { key: version.object, scheme, input, size: kind.size },
      call,
    )
    return { hmac: output.signature, took }
  }

  return {
    sign(input, call) {
      return withKey({ key: input.key, use: 'sign', operation: 'sign' }, call, async (key) => {
        const version = await keys.version(key, input.keyVersion)
        const { mechanism, scheme, size, input: signed, finish } = signingOf(key.type, input.input, input)
        need(mechanism)
        const { output, ...took } = await ask(
          version,
          'sign',
          { key: version.object, scheme, input: signed, size },
          call,
        )
        const signature = finish(output.signature)
        await prove(key, version, input, signature)
        return { key: refOf(key), keyVersion: version.version, signature, provider: traceOf(took) }
      })
    },
    verify(input, call) {
      return withKey({ key: input.key, use: 'sign', operation: 'verify' }, call, async (key) => {
        for (const number of numbersOf(key, input.keyVersion)) {
          const version = await keys.version(key, number)
          const valid = await verifierFor(key, version)(input.input, input.signature, input)
          if (valid || input.keyVersion !== undefined) return { key: refOf(key), valid, keyVersion: number }
        }
        return { key: refOf(key), valid: false }
      })
    },
    hmac(input, call) {
      return withKey({ key: input.key, use: 'mac', operation: 'hmac' }, call, async (key) => {
        const version = await keys.version(key, input.keyVersion)
        const { hmac, took } = await mac(key, version, input, call)
        return { key: refOf(key), keyVersion: version.version, hmac, provider: traceOf(took) }
      })
    },
    verifyHmac(input, call) {
      return withKey({ key: input.key, use: 'mac', operation: 'verifyHmac' }, call, async (key) => {
        const all: Took[] = []
        for (const number of numbersOf(key, input.keyVersion)) {
          const { hmac, took } = await mac(key, await keys.version(key, number), input, call)
          all.push(took)
          // In constant time: the MAC of a version is what an attacker would guess byte by byte.
          const valid = equal(hmac, input.hmac)
          if (valid || input.keyVersion !== undefined)
            return { key: refOf(key), valid, keyVersion: number, provider: traceOf(...all) }
        }
        return { key: refOf(key), valid: false, provider: traceOf(...all) }
      })
    },
    getPublicKey(input, call) {
      return withKey({ key: input.key, use: 'sign', operation: 'getPublicKey' }, call, async (key) => {
        const version = await keys.version(key, input.keyVersion)
        // One that verifies nothing is not given out.
        verifierFor(key, version)
        const { publicKey } = version
        if (publicKey === undefined) throw noPublicKey(key, version)
        const { text, spki } = publicKey
        const jwk = publicJwk(key.type.keyType, spki)
        return { key: refOf(key), keyVersion: version.version, publicKey: text, spki: concat([spki]), jwk }
      })
    },
  }
}

/** The version asked for, or all of them, newest first. */
function numbersOf({ versions }: TokenKey, asked: number | undefined): readonly number[] {
  return asked === undefined ? versions.map(({ version }) => version).reverse() : [asked]
}
