/**
 * RSA over WebCrypto, for hosts without node:crypto: everything with promises. Whatever is passed in is copied before the
 * first wait. A WebCrypto key is bound to one padding and one hash, so each is imported when it is first wanted.
 */
import { KmsError } from '../model/errors.ts'
import { type HostKey, host, type Subtle } from '../model/host.ts'
import type { HashAlgorithm } from '../model/operation.ts'
import { wipe } from './bytes.ts'
import type { Rsa, RsaPrivateKey, RsaPublicKey, RsaScheme } from './engine.ts'
import { digestLength } from './options.ts'

export const rsa: Rsa = { synchronous: false, generate, privateKey, publicKey }

const hashNames: { readonly [H in HashAlgorithm]: string } = { sha256: 'SHA-256', sha384: 'SHA-384', sha512: 'SHA-512' }
const oaep = { name: 'RSA-OAEP', hash: 'SHA-256' } as const

async function generate(bits: number): Promise<Uint8Array> {
  const crypto = subtle()
  const algorithm = { ...oaep, modulusLength: bits, publicExponent: Uint8Array.of(1, 0, 1) }
  const pair = await crypto.generateKey(algorithm, true, ['encrypt', 'decrypt'])
  return new Uint8Array(await crypto.exportKey('pkcs8', pair.privateKey))
}

function privateKey(pkcs8: Uint8Array): RsaPrivateKey {
  const own = pkcs8.slice()
  const key = imports('pkcs8', own)
  return {
    async decrypt(block, label) {
      const [ownBlock, ownLabel] = [block.slice(), label.slice()]
      const decrypting = await key(oaep, 'decrypt')
      try {
        return new Uint8Array(await subtle().decrypt({ ...oaep, label: ownLabel }, decrypting, ownBlock))
      } catch (error) {
        // WebCrypto §22.4.2: an OperationError for whatever does not decode, and no word about what it was.
        if (isOperationError(error)) return undefined
        throw hostError('RSA decryption failed', error)
      }
    },
    async sign(scheme, input) {
      const own = input.slice()
      const signing = await key(importedAs(scheme), 'sign')
      return new Uint8Array(await subtle().sign(parametersOf(scheme), signing, own))
    },
    destroy: () => wipe(own),
  }
}

function publicKey(spki: Uint8Array): RsaPublicKey {
  const key = imports('spki', spki.slice())
  return {
    async encrypt(plaintext, label) {
      const [own, ownLabel] = [plaintext.slice(), label.slice()]
      try {
        const encrypting = await key(oaep, 'encrypt')
        return new Uint8Array(await subtle().encrypt({ ...oaep, label: ownLabel }, encrypting, own))
      } finally {
        wipe(own)
      }
    },
    async verify(scheme, input, signature) {
      const [ownInput, ownSignature] = [input.slice(), signature.slice()]
      const verifying = await key(importedAs(scheme), 'verify')
      return subtle().verify(parametersOf(scheme), verifying, ownSignature, ownInput)
    },
  }
}

interface ImportedAs {
  readonly name: string
  readonly hash: string
}

/** Imports the key once for each algorithm that it is wanted for. */
function imports(format: 'pkcs8' | 'spki', bytes: Uint8Array): (as: ImportedAs, usage: string) => Promise<HostKey> {
  const imported = new Map<string, Promise<HostKey>>()
  return (as, usage) => {
    const name = `${as.name} ${as.hash}`
    const known = imported.get(name)
    if (known !== undefined) return known
    const key = importKey(format, bytes, as, usage)
    imported.set(name, key)
    // A host that failed once may not fail again.
    key.catch(() => imported.delete(name))
    return key
  }
}

async function importKey(format: 'pkcs8' | 'spki', bytes: Uint8Array, as: ImportedAs, usage: string): Promise<HostKey> {
  try {
    return await subtle().importKey(format, bytes, as, false, [usage])
  } catch (error) {
    if (error instanceof KmsError) throw error
    throw new KmsError('INVALID_INPUT', "this host's WebCrypto does not take this as an RSA key", { cause: error })
  }
}

function importedAs({ padding, hashAlgorithm }: RsaScheme): ImportedAs {
  return { name: padding === 'pss' ? 'RSA-PSS' : 'RSASSA-PKCS1-v1_5', hash: hashNames[hashAlgorithm] }
}

/** A salt of exactly the digest's length, when signing and when verifying. */
function parametersOf(scheme: RsaScheme): object {
  return { ...importedAs(scheme), saltLength: digestLength[scheme.hashAlgorithm] }
}

function subtle(): Subtle {
  const { subtle } = host.crypto
  if (subtle !== undefined) return subtle
  throw new KmsError(
    'UNSUPPORTED_OPERATION',
    'RSA needs WebCrypto, which this host does not offer: browsers do on pages served over HTTPS',
  )
}

function isOperationError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'name' in error && error.name === 'OperationError'
}

function hostError(message: string, cause: unknown): KmsError {
  return new KmsError('INTERNAL', message, { cause })
}
