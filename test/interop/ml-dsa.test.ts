/** @node ML-DSA against OpenSSL 3.5, which is in Node 24: keys, signatures and JWKs, both ways. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fromUtf8, hex, utf8 } from '../../src/crypto/bytes.ts'
import { mlDsa } from '../../src/crypto/ml-dsa.ts'
import type { EmbeddedKms } from '../../src/providers/local/provider.ts'
import { memoryKms } from '../../src/providers/memory.ts'
import { unhex } from '../crypto/engines.ts'
import { run } from '../providers/calls.ts'
import { missing, programs } from '../runtimes/installed.ts'

const keyTypes = ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const
const message = utf8('a release of the house')

interface Answer {
  readonly verified: boolean
  readonly refused: boolean
  readonly isSameKey: boolean
  readonly signature: string
  readonly own: { readonly spki: string; readonly pkcs8: string; readonly jwk: object; readonly signature: string }
}

describe('OpenSSL 3.5', { skip: missing('Node 24') }, () => {
  let kms: EmbeddedKms
  let answers: readonly Answer[]
  before(async () => {
    kms = memoryKms({ mlDsa })
    const ours = []
    for (const keyType of keyTypes) {
      await run(kms, 'createKey', { slug: keyType, keyType, exportAllowed: true })
      const { signature } = await run(kms, 'sign', { key: keyType, input: message })
      const { spki } = await run(kms, 'getPublicKey', { key: keyType })
      const pkcs8 = (await run(kms, 'export', { key: keyType })).keyMaterial
      const jwk: unknown = JSON.parse(
        fromUtf8((await run(kms, 'export', { key: keyType, form: 'jwk' })).keyMaterial) ?? '',
      )
      ours.push({ keyType, spki: hex(spki), pkcs8: hex(pkcs8), jwk, signature: hex(signature) })
    }
    const child = fileURLToPath(new URL('ml-dsa-child.mjs', import.meta.url))
    const input = JSON.stringify({ message: hex(message), ours })
    const { stdout, stderr, status } = spawnSync(programs['Node 24'], [child], { input, encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    answers = JSON.parse(stdout) as Answer[] // the child's own document
  })
  after(() => kms.close())

  for (const [at, keyType] of keyTypes.entries()) {
    const answer = () => answers[at] ?? assert.fail('an answer for each')

    test(`${keyType}: it reads our keys, verifies our signature, and refuses it for another message`, () => {
      const { verified, refused, isSameKey } = answer()
      assert.deepEqual([verified, refused, isSameKey], [true, true, true])
    })

    test(`${keyType}: what it signs with our key verifies here`, async () => {
      const signature = unhex(answer().signature)
      assert.equal((await run(kms, 'verify', { key: keyType, input: message, signature })).valid, true)
    })

    test(`${keyType}: its keys come in, as PKCS#8 and as JWK, and its signatures verify here`, async () => {
      const { own } = answer()
      for (const [form, keyMaterial] of [
        ['pkcs8', unhex(own.pkcs8)],
        ['jwk', utf8(JSON.stringify(own.jwk))],
      ] as const) {
        const key = `theirs-${keyType}-${form}`
        await run(kms, 'importKey', { slug: key, keyType, keyMaterial, form })
        assert.deepEqual((await run(kms, 'getPublicKey', { key })).spki, unhex(own.spki))
        const signature = unhex(own.signature)
        assert.equal((await run(kms, 'verify', { key, input: message, signature })).valid, true)
      }
    })
  }
})
