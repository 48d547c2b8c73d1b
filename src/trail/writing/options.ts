/** @node What a trail's options may be, checked before anything is touched. */
import { resolve, sep } from 'node:path'
import { KmsError } from '../../model/errors.ts'
import type { Signer } from '../../model/signer.ts'
import { originRule } from '../commit.ts'
import { checkPath } from '../layout.ts'
import { fileOfSigner } from '../signer.ts'
import type { TrailOptions } from '../trail.ts'

const instanceRule = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/** Longest time that a timer of the host can wait. */
const longestMs = 2 ** 31 - 1

/** Errors: `INVALID_INPUT`, saying which option and what it must be. */
export function checkOptions(options: TrailOptions): void {
  if (typeof options !== 'object' || options === null) refuse('openTrail takes one object: { path, signer }')
  const { path, instance = 'main', signer, origin, anchor } = options
  checkPath(path)
  if (typeof instance !== 'string' || !instanceRule.test(instance))
    refuse('instance must be 1–63 letters, digits, dots, underscores or hyphens')
  if (origin !== undefined && !originRule.test(origin))
    refuse('origin must be 1–200 printable ASCII characters without space, quote, + and \\')
  for (const name of ['minRetentionDays', 'segmentBytes', 'budgetBytes'] as const)
    if (options[name] !== undefined && !isPositive(options[name])) refuse(`${name} must be a whole number above 0`)
  if (anchor !== undefined && (typeof anchor.size !== 'bigint' || anchor.root?.length !== 32))
    refuse('anchor must be a receipt, such as local.binding()?.anchor: { origin, size, root }')
  checkSigner(signer)
  refuseKeyInside(options)
  checkPin(options)
}

export function checkSigner(signer: Signer): void {
  for (let one: Signer | undefined = signer; one !== undefined; one = one.previous)
    if (one?.publicKey?.length !== 32 || typeof one.sign !== 'function')
      refuse('signer must have an Ed25519 public key of 32 bytes, and sign with it')
  if (signer === undefined) refuse('signer is missing: local.auditSigner(), or fileSigner(path)')
}

/** A key beside the entries it signs protects nothing: who can change the one can use the other. */
function refuseKeyInside({ path, signer }: TrailOptions): void {
  for (let one: Signer | undefined = signer; one !== undefined; one = one.previous) {
    const file = fileOfSigner(one)
    if (file !== undefined && isInside(path, file))
      refuse(`${file} lies inside the trail's folder: keep the signing key elsewhere`)
  }
}

function checkPin({ path, pin, witnesses = [] }: TrailOptions): void {
  if (!Array.isArray(witnesses)) refuse('witnesses must be a list of { url, vkey }')
  if (pin === undefined || typeof pin === 'function') return
  if (typeof pin?.file !== 'string' || pin.file === '') refuse('pin must be { file } or a function')
  const { everyMs } = pin
  if (everyMs !== undefined && (!isPositive(everyMs) || everyMs > longestMs))
    refuse(`pin.everyMs must be a whole number of milliseconds from 1 to ${longestMs}`)
  // As with keys: who changes the trail could change it too.
  if (isInside(path, resolve(pin.file))) refuse(`${pin.file} lies inside the trail's folder: keep pins elsewhere`)
}

function isInside(path: string, file: string): boolean {
  return file.startsWith(resolve(path) + sep)
}

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
