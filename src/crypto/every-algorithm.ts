/** All key types that a keystore can hold: the table of those that it can make, and those that only come in. */
import { KmsError } from '../model/errors.ts'
import type { ImportableKeyType, TransitKeyType } from '../model/key.ts'
import { andThen } from '../model/promise.ts'
import { type Algorithm, algorithms, checkMaterial, type Use } from './algorithms.ts'
import { wipe } from './bytes.ts'
import { admitRsa } from './rsa.ts'
import { transitKey } from './transit.ts'
import { decodeTransitVersion, type TransitKind, transitKinds } from './transit-material.ts'
import { transitVersion } from './transit-text.ts'

const uses: { readonly [K in TransitKind['is']]: readonly Use[] } = {
  aead: ['encrypt', 'mac'],
  ed25519: ['sign', 'mac'],
  ecdsa: ['sign', 'mac'],
  rsa: ['encrypt', 'sign', 'mac'],
  hmac: ['mac'],
}

export const everyAlgorithm: { readonly [T in ImportableKeyType]: Algorithm<Use, ImportableKeyType> } = {
  ...algorithms,
  'transit-aes128-gcm96': transit('transit-aes128-gcm96'),
  'transit-aes256-gcm96': transit('transit-aes256-gcm96'),
  'transit-chacha20-poly1305': transit('transit-chacha20-poly1305'),
  'transit-xchacha20-poly1305': transit('transit-xchacha20-poly1305'),
  'transit-ed25519': transit('transit-ed25519'),
  'transit-ecdsa-p256': transit('transit-ecdsa-p256'),
  'transit-ecdsa-p384': transit('transit-ecdsa-p384'),
  'transit-ecdsa-p521': transit('transit-ecdsa-p521'),
  'transit-rsa-2048': transit('transit-rsa-2048'),
  'transit-rsa-3072': transit('transit-rsa-3072'),
  'transit-rsa-4096': transit('transit-rsa-4096'),
  'transit-hmac': transit('transit-hmac'),
}

/** Whether keys of this type come from a transit engine. */
export function isTransit(keyType: ImportableKeyType): keyType is TransitKeyType {
  return Object.hasOwn(transitKinds, keyType)
}

function transit(keyType: TransitKeyType): Algorithm<Use, TransitKeyType> {
  const kind = transitKinds[keyType]
  return {
    keyType,
    uses: uses[kind.is],
    onlyFrom: 'Vault or OpenBao',
    ...(kind.is === 'ed25519' && { publicAs: 'ed25519' }),
    ...('native' in kind && { publicAs: kind.native }),
    form: 'raw',
    counted: false,
    versionOf: transitVersion,
    valid: (material) => decodeTransitVersion(keyType, material) !== undefined,
    generate() {
      throw new KmsError(
        'UNSUPPORTED_OPERATION',
        `a key of type ${keyType} is not made here: importTransitBackup imports it from Vault or OpenBao`,
      )
    },
    open(engine, material, version) {
      checkMaterial(this, material, version)
      return transitKey(engine, { keyType, version, material })
    },
    encode: (_engine, material) => material.slice(),
    decode(engine, encoded) {
      const facts = decodeTransitVersion(keyType, encoded)
      if (facts === undefined) return undefined
      const own = encoded.slice()
      if (kind.is !== 'rsa') return own
      return andThen(admitRsa(engine, kind.native, facts.key), (admitted) => {
        wipe(admitted ?? own)
        return admitted && own
      })
    },
  }
}
