/**
 * @node A program that uses keys as fast as it can until it is killed, and tells its parent each result that it saw.
 * Arguments: keystore, trail, file with the root key, seed, file with ciphertexts of earlier lives.
 */
import { readFileSync, writeSync } from 'node:fs'
import { KmsClient } from '../../src/client.ts'
import { KmsError } from '../../src/model/errors.ts'
import type { Operation } from '../../src/model/operation.ts'
import { openLocalKms } from '../../src/providers/local/index.ts'
import { openTrail } from '../../src/trail/index.ts'
import { chance } from './chance.ts'
import { plaintextOf, type Seen, signedInput } from './seen.ts'

const [keys = '', audit = '', rootKeyFile = '', seed = '0', samples = ''] = process.argv.slice(2)
const allowFilesystem = ['tmpfs']
const local = await openLocalKms({ path: keys, rootKeyFile, allowFilesystem })
// Small segments, so that some kills meet the change from one to the next.
const segmentBytes = 256 * 1024
const trail = await openTrail({ path: audit, signer: local.auditSigner(), segmentBytes, allowFilesystem })
const kms = new KmsClient({ provider: local, audit: { required: [trail] } })
await kms.ready()
writeSync(1, '{"ready":true}\n')

const luck = chance(Number(seed))
const ciphertexts: Seen[] = readFileSync(samples, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line): Seen => JSON.parse(line))
const known = new Set((await kms.listKeys()).keys.map(({ slug }) => slug))
let slugs = Math.max(0, ...[...known].map((slug) => Number(slug.split('-')[1]))) + 1
for (const slug of ['seal-0', 'sign-0', 'switch-0']) if (!known.has(slug)) await create(slug)
await Promise.all(Array.from({ length: 16 }, work))

async function work(): Promise<void> {
  for (;;) {
    try {
      await one()
    } catch (error) {
      // Another worker has just disabled that key.
      if (error instanceof KmsError && error.code === 'KEY_NOT_ACTIVE') continue
      writeSync(1, `${JSON.stringify({ unexpected: String(error) })}\n`)
    }
  }
}

async function one(): Promise<void> {
  const dice = luck.next()
  if (dice < 0.3) return encrypt(pick('seal', 'switch'))
  if (dice < 0.6) return decrypt()
  if (dice < 0.75) return sign(pick('sign'))
  if (dice < 0.85) return rotate(pick('seal', 'sign', 'switch'))
  if (dice < 0.88) return exportKey(pick('seal', 'sign'))
  if (dice < 0.9 && slugs < 60) return create(`${luck.pick(['seal', 'sign', 'switch'])}-${slugs++}`)
  if (dice < 0.95) return change('disableKey', pick('switch'))
  return change('enableKey', pick('switch'))
}

function pick(...kinds: readonly string[]): string {
  return luck.pick([...known].filter((slug) => kinds.some((kind) => slug.startsWith(kind))))
}

async function create(slug: string): Promise<void> {
  const keyType = slug.startsWith('sign') ? 'ed25519' : 'aes256-gcm96'
  const { eventID } = await kms.createKey({ slug, keyType, exportAllowed: true })
  known.add(slug)
  tell({ eventID, operation: 'createKey', key: slug })
}

async function encrypt(key: string): Promise<void> {
  const { eventID, keyVersion, ciphertext } = await kms.encrypt({ key, plaintext: plaintextOf(key) })
  const seen = { eventID, operation: 'encrypt', key, version: keyVersion, bytes: text(ciphertext) } as const
  if (ciphertexts.length < 5000) ciphertexts.push(seen)
  tell(seen)
}

async function decrypt(): Promise<void> {
  if (ciphertexts.length === 0) return
  const { key, version, bytes = '' } = luck.pick(ciphertexts)
  const ciphertext = Uint8Array.from(Buffer.from(bytes, 'base64'))
  const { eventID, keyVersion, plaintext } = await kms.decrypt({ key, ciphertext })
  if (keyVersion !== version || text(plaintext) !== text(plaintextOf(key))) throw new Error(`${key} opened as another`)
  tell({ eventID, operation: 'decrypt', key, version: keyVersion })
}

async function sign(key: string): Promise<void> {
  const { eventID, keyVersion, signature } = await kms.sign({ key, input: signedInput })
  tell({ eventID, operation: 'sign', key, version: keyVersion, bytes: text(signature) })
}

async function rotate(key: string): Promise<void> {
  const { eventID, keyVersion } = await kms.rotate({ key })
  tell({ eventID, operation: 'rotate', key, version: keyVersion })
}

async function exportKey(key: string): Promise<void> {
  const { eventID, keyVersion } = await kms.export({ key })
  tell({ eventID, operation: 'export', key, version: keyVersion })
}

async function change(operation: 'enableKey' | 'disableKey', key: string): Promise<void> {
  const { eventID } = await kms[operation]({ key })
  tell({ eventID, operation, key })
}

/** One write, so that a kill leaves it whole or not at all; synchronous, so that nothing seen waits in this process. */
function tell(seen: Seen & { readonly operation: Operation }): void {
  writeSync(1, `${JSON.stringify(seen)}\n`)
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
