/** @node What the demo does: the nine audited actions of a KMS, and two calls that must fail. */
import { join } from 'node:path'
import type { KmsClient } from '../client.ts'
import { equal } from '../crypto/bytes.ts'
import { type Clock, systemClock } from '../model/clock.ts'
import { KmsError, type KmsErrorCode } from '../model/errors.ts'
import { nodeFileSystem } from '../storage/filesystem.ts'
import { makePrivateFolder } from '../storage/private.ts'
import { closingAfter, type Home, openHome, userContext } from './home.ts'
import { makeRootKey } from './root-key.ts'

export interface Step {
  readonly action: string
  readonly outcome: 'success' | 'failure'
  /** What happened, in words. */
  readonly says: string
}

export interface Played {
  readonly steps: readonly Step[]
  /** Verifies the trail. */
  readonly vkey: string
}

export interface DemoFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** Makes the keys in `home` and uses them on the file. Throws if anything is not as it must be. */
export async function play(home: Home, file: DemoFile): Promise<Played> {
  const clock = clockFromYesterday()
  const rootKeyFile = join(home.folder, 'root.key')
  await makePrivateFolder(nodeFileSystem, home.folder)
  await makeRootKey(rootKeyFile)
  const { kms, trail } = await openHome(home, {
    rootKey: { rootKeyFile },
    context: userContext(),
    clock,
    // A temporary folder may be in memory.
    allowFilesystem: ['tmpfs'],
  })
  const steps = await closingAfter(kms, story(kms, file, clock))
  return { steps, vkey: trail.vkey }
}

async function story(kms: KmsClient, file: DemoFile, clock: DemoClock): Promise<readonly Step[]> {
  const { name, bytes } = file
  const steps: Step[] = []
  const success = (action: string, says: string) => void steps.push({ action, outcome: 'success', says })

  await kms.createKey({ slug: 'files', exportAllowed: true, keyRotationEnabled: true, rotationPeriodInDays: 1 })
  await kms.createKey({ slug: 'releases', keyType: 'ed25519' })
  await kms.createKey({ slug: 'webhooks', keyType: 'hmac-sha256' })

  const encryptionContext = { file: name }
  const { ciphertext } = await kms.encrypt({ key: 'files', plaintext: bytes, encryptionContext })
  success('kms.encrypt', `${sized(bytes)} → ${sized(ciphertext)} of ciphertext`)

  const { plaintext } = await kms.decrypt({ key: 'files', ciphertext, encryptionContext })
  if (!equal(plaintext, bytes)) throw broken('the decrypted file is not the file')
  success('kms.decrypt', `${sized(plaintext)}, the same as the file`)

  const { signature } = await kms.sign({ key: 'releases', input: bytes })
  success('kms.sign', `an Ed25519 signature of ${sized(signature)}`)

  if (!(await kms.verify({ key: 'releases', input: bytes, signature }))) throw broken('the signature does not verify')
  success('kms.verify', 'valid')

  const { hmac } = await kms.hmac({ key: 'webhooks', input: bytes })
  success('kms.hmac', `an HMAC-SHA-256 of ${sized(hmac)}`)

  if (!(await kms.verifyHmac({ key: 'webhooks', input: bytes, hmac }))) throw broken('the HMAC does not verify')
  success('kms.verify_hmac', 'valid')

  const { keyVersion } = await kms.rotate({ key: 'releases' })
  if (!(await kms.verify({ key: 'releases', input: bytes, signature })))
    throw broken('an old signature no longer verifies')
  success('kms.rotate', `releases is now at v${keyVersion}; v1 still verifies`)

  clock.toPresent()
  const [scheduled] = await kms.rotateDueKeys()
  if (scheduled?.ok !== true) throw broken('the key that is due was not rotated')
  success('kms.rotate.scheduled', `files was due after a day, and is at v${scheduled.keyVersion}`)

  const { keyMaterial } = await kms.export({ key: 'files' }, { context: { reason: { code: 'demo' } } })
  success('kms.export', `${sized(keyMaterial)} of key material (not shown)`)

  const tampered = ciphertext.slice()
  tampered[tampered.length - 1] = (tampered.at(-1) ?? 0) ^ 1
  steps.push(
    await refused({
      action: 'kms.decrypt',
      what: 'one bit of the ciphertext flipped',
      code: 'INVALID_CIPHERTEXT',
      call: () => kms.decrypt({ key: 'files', ciphertext: tampered, encryptionContext }),
    }),
    await refused({
      action: 'kms.export',
      what: 'a key that was not made for it',
      code: 'EXPORT_NOT_ALLOWED',
      call: () => kms.export({ key: 'releases' }, { context: { reason: { code: 'demo' } } }),
    }),
  )
  return steps
}

interface Refusal {
  readonly action: string
  readonly what: string
  readonly code: KmsErrorCode
  readonly call: () => Promise<unknown>
}

async function refused({ action, what, code, call }: Refusal): Promise<Step> {
  try {
    await call()
  } catch (error) {
    if (error instanceof KmsError && error.code === code)
      return { action, outcome: 'failure', says: `${what}: ${code}` }
    throw error
  }
  throw broken(`${action} was not refused`)
}

function broken(how: string): KmsError {
  return new KmsError('INTERNAL', `demo: ${how}`)
}

function sized(bytes: Uint8Array): string {
  return `${bytes.length.toLocaleString('en-US')} bytes`
}

interface DemoClock extends Clock {
  toPresent(): void
}

/** A key made yesterday is due today: nobody waits a day for a demo. */
function clockFromYesterday(): DemoClock {
  let behindMs = 24 * 60 * 60 * 1000
  return {
    ...systemClock,
    now: () => systemClock.now() - behindMs,
    toPresent() {
      behindMs = 0
    },
  }
}
