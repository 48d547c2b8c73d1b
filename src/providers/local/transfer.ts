/** Key material in and out of a keystore: import, export, and the key that imports are wrapped to. Pure functions, as in lifecycle.ts. */
import { wipe } from '../../crypto/bytes.ts'
import type { Engine } from '../../crypto/engine.ts'
import { everyAlgorithm, isTransit } from '../../crypto/every-algorithm.ts'
import { fingerprint } from '../../crypto/fingerprint.ts'
import { requireApproved } from '../../crypto/fips.ts'
import { decodeJwk, encodeJwk } from '../../crypto/jwk.ts'
import { unwrapKeyMaterial, wrapKeyMaterial } from '../../crypto/key-transport.ts'
import { publicKeyPem } from '../../crypto/pkcs8.ts'
import { publicPart } from '../../crypto/rsa.ts'
import { KmsError } from '../../model/errors.ts'
import type { ImportableKeyType } from '../../model/key.ts'
import type { Input, KeyMaterialForm, Output, WrappingKey } from '../../model/operation.ts'
import { andThen, isPromise } from '../../model/promise.ts'
import {
  type Before,
  type Change,
  changed,
  find,
  freshMaterial,
  madeBy,
  nextGeneration,
  onItsWay,
  outcome,
  type Wanted,
} from './change.ts'
import { active, hasVersion, type LiveKey, storedVersion } from './keyring.ts'
import type { Keystore, StoredKey, StoredVersion } from './keystore.ts'
import { describedKey, knownType } from './new-key.ts'

export type TransferOperation = 'export' | 'importKey' | 'importKeyVersion' | 'getWrappingKey' | 'rotateWrappingKey'

const wrappingKeyType = 'rsa-4096'

export const transfers: { readonly [O in TransferOperation]: Change<O> } = {
  export(input, before) {
    const key = active(find(input, before), 'export')
    const { stored } = key
    if (!stored.exportAllowed)
      throw new KmsError('EXPORT_NOT_ALLOWED', 'key was created without exportAllowed, which cannot be changed', {
        key: input.key,
      })
    const form = exportForm(input, stored.keyType)
    const keyVersion = input.keyVersion ?? key.latest
    const keyMaterial = before.material ?? exported(before, key, keyVersion, form, input.recipient)
    // Asked again, it must be this version that is exported: another may have become the latest.
    if (isPromise(keyMaterial))
      return onItsWay(keyMaterial, (later) => transfers.export({ ...input, keyVersion }, later))
    const keystore = nextGeneration(before, before.keyring.keystore.keys)
    return { keystore, output: { key: key.ref, keyVersion, keyMaterial, form, ...madeBy(keystore) } }
  },

  importKey(input, before) {
    const keyType = importable(before, input.keyType)
    const { described, flags } = describedKey(before, input, keyType)
    const material = importedMaterial(before, keyType, input)
    if (isPromise(material))
      return onItsWay(
        material,
        again(before, input, (later) => transfers.importKey(input, later)),
      )
    const { allowRotation = false, keyVersion = 1 } = input
    const key: StoredKey = {
      ...described,
      imported: { allowRotation },
      versions: [{ version: keyVersion, createdAt: before.now, material }],
    }
    const { keystore, output } = outcome(before, [...before.keyring.keystore.keys, key], key)
    return { keystore, output: { ...output, ...flags, keyVersion, ...cameAs(before, keyType, input) } }
  },

  importKeyVersion(input, before) {
    const { keyVersion } = input
    const key = addable(active(find(input, before), 'importKeyVersion'), keyVersion)
    const material = importedMaterial(before, key.stored.keyType, input)
    if (isPromise(material))
      return onItsWay(
        material,
        again(before, input, (later) => transfers.importKeyVersion(input, later)),
      )
    const version: StoredVersion = { version: keyVersion, createdAt: before.now, material }
    const versions = [...key.stored.versions, version].sort((a, b) => a.version - b.version)
    const { keystore, output } = changed(before, key, { versions })
    return { keystore, output: { ...output, keyVersion, ...cameAs(before, key.stored.keyType, input) } }
  },

  getWrappingKey(_input, before) {
    const { wrappingKey } = before.keyring.keystore
    if (wrappingKey === undefined) return newWrappingKey(before)
    // Another call made one while this one's was being made.
    if (before.material !== undefined) wipe(before.material)
    return wrappingKeyMade(before, nextGeneration(before, before.keyring.keystore.keys), wrappingKey)
  },

  rotateWrappingKey(_input, before) {
    return newWrappingKey(before)
  },
}

function exportForm({ form, recipient, key }: Input<'export'>, keyType: ImportableKeyType): KeyMaterialForm {
  const natural = everyAlgorithm[keyType].form
  const chosen = form ?? (recipient === undefined ? natural : 'wrapped')
  if ((chosen === 'wrapped') !== (recipient !== undefined))
    throw new KmsError('INVALID_INPUT', "'recipient' goes with form 'wrapped', and that one needs it", { key })
  checkForm(chosen, keyType)
  return chosen
}

function checkForm(form: KeyMaterialForm, keyType: ImportableKeyType): void {
  const natural = everyAlgorithm[keyType].form
  const forms = isTransit(keyType) ? [natural] : [natural, 'jwk']
  if (form === 'wrapped' || forms.includes(form)) return
  throw new KmsError(
    'INVALID_INPUT',
    `the form of ${keyType} key material is ${forms.join(', ')} or wrapped, not ${form}`,
  )
}

/** Bytes that the caller owns. */
function exported(
  { engine, fips }: Before,
  key: LiveKey,
  version: number,
  form: KeyMaterialForm,
  recipient: Uint8Array | undefined,
): Uint8Array | Promise<Uint8Array> {
  const { keyType } = key.stored
  const { material } = storedVersion(key, version)
  // The public part of a JWK is computed.
  if (fips && form === 'jwk') requireApproved(keyType)
  if (form === 'jwk' && !isTransit(keyType)) return encodeJwk(engine, keyType, material)
  const encoded = everyAlgorithm[keyType].encode(engine, material)
  if (recipient === undefined) return encoded
  const wrapped = wrapKeyMaterial(engine, recipient, encoded)
  if (isPromise(wrapped)) return wrapped.finally(() => wipe(encoded))
  wipe(encoded)
  return wrapped
}

/** PLATFORM.md §2: MAC keys are made here, never brought. */
function importable(before: Before, keyType: string): ImportableKeyType {
  const known = knownType(before, keyType)
  const { uses, onlyFrom } = everyAlgorithm[known]
  if (uses.includes('mac') && onlyFrom === undefined)
    throw new KmsError('INVALID_INPUT', `a key of type ${known} cannot be imported: create one`)
  return known
}

function addable(key: LiveKey, version: number): LiveKey {
  const { imported, slug } = key.stored
  if (imported === undefined)
    throw new KmsError('INVALID_INPUT', 'key was made here: only imported keys get versions by import', { key: slug })
  if (hasVersion(key, version))
    throw new KmsError('VERSION_CONFLICT', `key has a version ${version} already`, { key: slug })
  if (version > key.latest && !imported.allowRotation)
    throw new KmsError('INVALID_INPUT', 'key was imported without allowRotation: it gets no newer version', {
      key: slug,
    })
  return key
}

interface Given {
  readonly keyMaterial: Uint8Array
  readonly form?: KeyMaterialForm
}

/** What was given as the material of such a key, or how to get at it. `INVALID_INPUT` if it is none. */
function importedMaterial(before: Before, keyType: ImportableKeyType, given: Given): Uint8Array | Promise<Uint8Array> {
  if (before.material !== undefined) return before.material
  const { engine, keyring, fips } = before
  if (fips) requireApproved(keyType)
  const { keyMaterial, form = everyAlgorithm[keyType].form } = given
  checkForm(form, keyType)
  const refusal = () => new KmsError('INVALID_INPUT', `'keyMaterial' is no ${keyType} key in the form ${form}`)
  const decoded =
    form === 'jwk' && !isTransit(keyType)
      ? decodeJwk(engine, keyType, keyMaterial)
      : form === 'wrapped'
        ? unwrapped(engine, keyring.keystore, keyType, keyMaterial)
        : everyAlgorithm[keyType].decode(engine, keyMaterial)
  return andThen(decoded, (found) => {
    if (found === undefined) throw refusal()
    return found
  })
}

/** What was wrapped to one key is not imported under another, which was made meanwhile. */
function again<C>(before: Before, { form }: Given, change: (later: Before) => C): (later: Before) => C {
  const { wrappingKey } = before.keyring.keystore
  return (later) => {
    if (form !== 'wrapped' || later.keyring.keystore.wrappingKey === wrappingKey) return change(later)
    throw new KmsError('INVALID_INPUT', 'another wrapping key was made meanwhile: get it, and wrap to it')
  }
}

function unwrapped(
  engine: Engine,
  { wrappingKey }: Keystore,
  keyType: ImportableKeyType,
  wrapped: Uint8Array,
): Uint8Array | undefined | Promise<Uint8Array | undefined> {
  if (wrappingKey === undefined)
    throw new KmsError('INVALID_INPUT', 'this keystore has no wrapping key yet: getWrappingKey makes it')
  return andThen(unwrapKeyMaterial(engine, wrappingKey, wrapped), (encoded) => {
    if (encoded === undefined) return undefined
    const decoded = everyAlgorithm[keyType].decode(engine, encoded)
    if (isPromise(decoded)) return decoded.finally(() => wipe(encoded))
    wipe(encoded)
    return decoded
  })
}

/** How it came in: for the caller and the entry. */
function cameAs(
  { engine, keyring }: Before,
  keyType: ImportableKeyType,
  { form = everyAlgorithm[keyType].form }: Given,
): CameAs {
  const { wrappingKey } = keyring.keystore
  if (form !== 'wrapped' || wrappingKey === undefined) return { form }
  return { form, wrappingKey: fingerprint(engine, rsaSpki(wrappingKey)) }
}

type CameAs = Pick<Output<'importKey'>, 'form' | 'wrappingKey'>

function rsaSpki(wrappingKey: Uint8Array): Uint8Array {
  const spki = publicPart(wrappingKeyType, wrappingKey)
  if (spki === undefined) throw new KmsError('INTERNAL', 'keystore is damaged: its wrapping key is none')
  return spki
}

function newWrappingKey(before: Before): WrappingKeyMade | Wanted {
  const material = freshMaterial(before, wrappingKeyType)
  if ('wants' in material) return material
  const next = nextGeneration(before, before.keyring.keystore.keys)
  // The one before is to be gone, also from the disk.
  return { ...wrappingKeyMade(before, { ...next, wrappingKey: material }, material), purge: true }
}

/** Of either operation: their outputs are the same. */
interface WrappingKeyMade {
  readonly keystore: Keystore
  readonly output: Output<'getWrappingKey'>
  readonly purge?: true
}

function wrappingKeyMade({ engine }: Before, keystore: Keystore, material: Uint8Array): WrappingKeyMade {
  return {
    keystore,
    output: { ...wrappingKeyOf(engine, material), ...madeBy(keystore) } satisfies Output<'getWrappingKey'>,
  }
}

function wrappingKeyOf(engine: Engine, material: Uint8Array): WrappingKey {
  const spki = rsaSpki(material)
  return { spki, publicKey: publicKeyPem(spki), fingerprint: fingerprint(engine, spki) }
}
