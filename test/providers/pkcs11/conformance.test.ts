/** @node The shipped conformance kit on a real SoftHSM2 token. */
import { after, before, describe, test } from 'node:test'
import { v7 } from 'uuid'
import type { Input } from '../../../src/model/operation.ts'
import type { Pkcs11Kms } from '../../../src/providers/pkcs11/index.ts'
import { type ProviderUnderTest, providerConformance } from '../../../src/testing/provider-conformance.ts'
import { newToken, noToken, type Token } from './token.ts'

const scope = { region: 'nl-01', project: 'billing' }

for (const { name, keys } of [
  { name: 'AES-GCM, ECDSA and HMAC', keys: ['aes256-gcm96', 'ecdsa-p256', 'hmac-sha256'] },
  { name: 'RSA for both, and HMAC with SHA-512', keys: ['rsa-2048', 'rsa-2048', 'hmac-sha512'] },
  { name: 'AES-128, Ed25519', keys: ['aes128-gcm96', 'ed25519', 'hmac'] },
] as const) {
  describe(`the conformance kit on SoftHSM2: ${name}`, { skip: noToken }, () => {
    let token: Token
    const named = { encrypt: 'enc', other: 'other', sign: 'sign', mac: 'mac' }
    before(async () => {
      token = newToken()
      const [encrypt, sign, mac] = keys
      const provider = await token.open({ scope })
      await create(provider, { slug: named.encrypt, keyType: encrypt })
      await create(provider, { slug: named.other, keyType: encrypt })
      await create(provider, { slug: named.sign, keyType: sign })
      await create(provider, { slug: named.mac, keyType: mac })
      await provider.close()
    })
    after(() => token.remove())

    async function make(): Promise<ProviderUnderTest> {
      const provider = await token.open({ scope, sessions: 1 })
      return { provider, keys: named, scope, dispose: () => provider.close() }
    }

    for (const { name, run } of providerConformance(make)) test(name, run)
  })
}

async function create(provider: Pkcs11Kms, input: Input<'createKey'>): Promise<void> {
  const { signal } = new AbortController()
  await provider.operations.createKey?.(input, { operationID: v7(), scope, signal })
}
