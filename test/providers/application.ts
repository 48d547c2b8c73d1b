/** A small application as one is written: it knows a `KmsClient`, and nothing of what is behind it. */
import { createPublicKey, verify } from 'node:crypto'
import type { KmsClient } from '../../src/client.ts'
import { KmsError } from '../../src/model/errors.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** What it saw: the same whatever keeps the keys. */
export async function application(kms: KmsClient): Promise<readonly string[]> {
  const seen: string[] = []
  const refusal = async (work: Promise<unknown>) => {
    const error = await work.then(
      () => 'nothing',
      (thrown: unknown) => thrown,
    )
    return error instanceof KmsError ? error.code : String(error)
  }

  await kms.createKey({ slug: 'orders', keyType: 'aes256-gcm96' })
  await kms.createKey({ slug: 'releases', keyType: 'ecdsa-p256' })
  await kms.createKey({ slug: 'cookies', keyType: 'hmac' })

  const order = { key: 'orders', encryptionContext: { order: '17', customer: 'é' } }
  const { ciphertext } = await kms.encrypt({ ...order, plaintext: utf8('attack at dawn') })
  seen.push(`opened: ${text((await kms.decrypt({ ...order, ciphertext })).plaintext)}`)
  seen.push(
    `as another order: ${await refusal(kms.decrypt({ key: 'orders', ciphertext, encryptionContext: { order: '18' } }))}`,
  )
  seen.push(`cut short: ${await refusal(kms.decrypt({ ...order, ciphertext: ciphertext.slice(0, -1) }))}`)

  const dataKey = await kms.generateDataKey({ key: 'orders' })
  const again = await kms.decrypt({ key: 'orders', ciphertext: dataKey.ciphertext })
  seen.push(
    `the data key again: ${Buffer.from(dataKey.plaintext).equals(again.plaintext)}, ${again.plaintext.length} bytes`,
  )

  const { key } = await kms.rotate({ key: 'orders' })
  seen.push(
    `rotated to ${key.latestVersion}; the old opens: ${text((await kms.decrypt({ ...order, ciphertext })).plaintext)}`,
  )
  const moved = await kms.reEncrypt({ ...order, ciphertext })
  seen.push(`re-encrypted: ${text((await kms.decrypt({ ...order, ciphertext: moved.ciphertext })).plaintext)}`)
  const many = await kms.encryptMany(
    ['a', 'b', 'c'].map((plaintext) => ({ key: 'orders', plaintext: utf8(plaintext) })),
  )
  const opened = await kms.decryptMany(
    many.map((one) => ({ key: 'orders', ciphertext: one.ok ? one.ciphertext : utf8('-') })),
  )
  seen.push(`many: ${opened.map((one) => (one.ok ? text(one.plaintext) : one.error.code)).join(' ')}`)

  const input = utf8('keytrail-1.0.0.tgz')
  const { signature } = await kms.sign({ key: 'releases', input })
  const { spki } = await kms.getPublicKey({ key: 'releases' })
  const publicKey = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  seen.push(
    `signed: ${await kms.verify({ key: 'releases', input, signature })}, says OpenSSL: ${verify('sha256', input, publicKey, signature)}`,
  )
  seen.push(`another release: ${await kms.verify({ key: 'releases', input: utf8('another'), signature })}`)

  const { hmac } = await kms.hmac({ key: 'cookies', input })
  seen.push(`a cookie: ${await kms.verifyHmac({ key: 'cookies', input, hmac })}, ${hmac.length} bytes`)
  seen.push(`another cookie: ${await kms.verifyHmac({ key: 'cookies', input: utf8('another'), hmac })}`)

  seen.push(`signing with orders: ${await refusal(kms.sign({ key: 'orders', input }))}`)
  seen.push(`no such key: ${await refusal(kms.encrypt({ key: 'nobody', plaintext: input }))}`)
  const { keys } = await kms.listKeys()
  seen.push(
    `keys: ${keys
      .map(({ slug, status }) => `${slug} ${status}`)
      .sort()
      .join(', ')}`,
  )
  return seen
}
