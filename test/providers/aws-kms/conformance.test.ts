/** @node The shipped conformance kit, through the real SDK and the endpoint. */
import { after, before, describe, test } from 'node:test'
import { providerConformance } from '../../../src/testing/index.ts'
import { noShared } from '../../shared.ts'
import { home, type Rig, startRig } from './rig.ts'

for (const rotation of ['at-once', 'by-hand'] as const)
  describe(`AWS KMS conforms, rotations ${rotation}`, { skip: noShared }, () => {
    let rig: Rig
    before(async () => {
      rig = await startRig({ rotation })
      await rig.kms.createKey({ slug: 'orders' })
      await rig.kms.createKey({ slug: 'invoices' })
      await rig.kms.createKey({ slug: 'releases', keyType: 'ecdsa-p256' })
      await rig.kms.createKey({ slug: 'tokens', keyType: 'hmac-sha256' })
    })
    after(() => rig.close())

    const keys = { encrypt: 'orders', other: 'invoices', sign: 'releases', mac: 'tokens' }
    for (const { name, run } of providerConformance(() => ({
      provider: rig.provider,
      keys,
      scope: home,
      versions: 'untold',
    })))
      test(name, run)
  })

for (const keyType of ['rsa-2048', 'rsa-3072', 'ecdsa-p384', 'ecdsa-p521', 'ecdsa-secp256k1'])
  describe(`AWS KMS conforms with ${keyType} keys`, { skip: noShared }, () => {
    let rig: Rig
    before(async () => {
      rig = await startRig()
      await rig.kms.createKey({ slug: 'releases', keyType: keyType as 'rsa-2048' })
    })
    after(() => rig.close())
    for (const { name, run } of providerConformance(() => ({
      provider: rig.provider,
      keys: { sign: 'releases' },
      scope: home,
    })))
      if (/sign|verif|public/.test(name)) test(name, run)
  })
