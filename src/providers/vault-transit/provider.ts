/** The transit provider: what it can do, and what holds its parts together. */
import type { KmsProvider } from '../../model/provider.ts'
import { transitEncryption } from './encryption.ts'
import { transitKeys } from './keys.ts'
import { transitLifecycle } from './lifecycle.ts'
import { transitMaterial } from './material.ts'
import { checkedOptions, type VaultTransitOptions } from './options.ts'
import { transitReads } from './reads.ts'
import { transitSignatures } from './signatures.ts'
import { transport } from './transport.ts'

/**
 * Keys in the transit engine of a Vault (1.11 or later; older ones without encryption contexts) or an OpenBao, over `fetch`.
 *
 * A key's slug is its name in the mount, and `namespace/mount/name` its identity. Ciphertexts stay the `vault:vN:` texts that
 * transit gives, as UTF-8 bytes; signatures and MACs are plain standard bytes, with N told as `keyVersion`. Every answer tells
 * its key version and, of successes, Vault's `request_id`; Vault names no request that failed.
 *
 * Left out is what transit has not: enabling, disabling and scheduled deletion (it deletes at once or not at all), and
 * `rotateScheduled`, since with `updateRotation` transit rotates by itself. `rotate` with `expectLatestVersion` compares before it
 * rotates, and `createKey` looks before it makes: two at the same moment may both pass, since transit compares nothing itself. It keeps
 * no description, labels or annotations; derived keys are made with its own tools. Of HMAC keys it may tell neither versions nor times:
 * `versions` and `createdAt` are empty then.
 *
 * An encryption context is bound as associated data in the canonical encoding, for derived keys as the derivation's context too. The
 * names `vault:context` and `vault:associated_data`, with base64 values, hand on what other programs have bound. A server that
 * ignores associated data is found out at the first use of a context: `UNSUPPORTED_OPERATION`.
 *
 * `generateDataKey` makes keys of 16, 32 or 64 bytes; with an encryption context they come from the host's generator, since transit's
 * own take none. `reEncrypt` is one `rewrap` for the same key without a context; otherwise the plaintext passes through this process, as
 * exported key material does before it is wrapped. `verify` without `keyVersion` is one request a version. RSA-PSS takes Vault 1.12:
 * older ones sign with the longest salt.
 *
 * Encrypts, and decrypts, for one key that begin together go out as one request, with one `request_id`: so do `encryptMany` and
 * `decryptMany`. What is harmless to repeat is repeated with jitter within the call's deadline; a change never after it may have
 * arrived: then its outcome is open (`OUTCOME_UNAUDITED`).
 *
 * The token must allow `read` of `keys/<name>`, and of the rest what is used. Give it `update` but not `create` on `encrypt/`: with
 * `create`, transit makes a key that does not exist. Errors besides those of each operation: `ACCESS_DENIED`, `THROTTLED`,
 * `PROVIDER_UNAVAILABLE`.
 *
 * @throws KmsError `INVALID_INPUT` for a wrong option.
 *
 * @example
 * ```ts
 * const vault = vaultTransit({ address: 'https://vault.example:8200', token: () => login() })
 * const kms = new KmsClient({ provider: vault, audit: { required: [trail] } })
 * const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext, encryptionContext: { order: '17' } })
 * ```
 */
export function vaultTransit(options: VaultTransitOptions): KmsProvider {
  const checked = checkedOptions(options)
  const requests = transport(checked)
  const keys = transitKeys(requests, checked)
  const operations = Object.freeze({
    ...transitEncryption(requests, keys),
    ...transitSignatures(requests, keys),
    ...transitLifecycle(requests, keys, checked),
    ...transitReads(requests, keys, checked),
    ...transitMaterial(requests, keys),
  })
  return Object.freeze({
    name: checked.name,
    operations,
    resolve: keys.resolve,
    async close() {
      requests.close()
    },
  })
}
