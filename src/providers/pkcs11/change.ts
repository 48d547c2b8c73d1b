/** Changes: keys and versions are made on the token, and key material leaves it, wrapped by the token itself. */
import { engine } from '#engine'
import { concat, hex, wipe } from '../../crypto/bytes.ts'
import { transportKeySealer } from '../../crypto/key-transport.ts'
import { randomBytes } from '../../crypto/random.ts'
import type { Clock } from '../../model/clock.ts'
import { evidenceOf, KmsError } from '../../model/errors.ts'
import type { Input, KeyMaterialForm, Output, ProviderTrace } from '../../model/operation.ts'
import type { CallInfo } from '../../model/provider.ts'
import type { TokenKey, TokenVersion } from './assemble.ts'
import { traceOf } from './calls.ts'
import { ckm } from './constants.ts'
import { encodeKeyId, keyLength, operationBytes } from './key-id.ts'
import { type TokenKeyType, typeNamed } from './key-types.ts'
import { refOf, type TokenKeys } from './keys.ts'
import type { Pool } from './pool.ts'
import type { Abilities } from './protocol.ts'
import { keyView } from './view.ts'

type ChangeOperation = 'createKey' | 'rotate' | 'rotateScheduled' | 'export'

export type Changes = { readonly [O in ChangeOperation]: (input: Input<O>, call: CallInfo) => Promise<Output<O>> }

export interface ChangeParts {
  readonly pool: Pool
  readonly keys: TokenKeys
  readonly abilities: Abilities
  readonly clock: Clock
  readonly inScope: (call: CallInfo) => boolean
}

/** An RSA key takes a slow token a minute; a claim of a process that died is void after this. */
const claimMs = 600_000

const defaultKeyType = 'aes256-gcm96'

export function tokenChanges({ pool, keys, abilities, clock, inScope }: ChangeParts): Changes {
  /** One change after another in this process; between processes it is the claim that decides. */
  let queue: Promise<unknown> = Promise.resolve()

  function inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = queue.then(change)
    queue = done.catch(() => undefined)
    return done
  }

  async function make(
    wanted: NewVersion,
    call: CallInfo,
  ): Promise<{ readonly key: TokenKey; readonly took: ProviderTrace }> {
    const { slug, version, type, id, extractable } = wanted
    if (!abilities.mechanisms.some(([mechanism]) => mechanism === ckm[type.maker]))
      throw new KmsError('UNSUPPORTED_OPERATION', `the token has no CKM_${type.maker}, to make ${type.keyType} keys`)
    const operation = operationBytes(call.operationID, clock.now())
    const keyId = encodeKeyId({ key: id, version, operation, plainHmac: type.keyType === 'hmac' })
    const names = { label: `${slug}/v${version}`, id: keyId }
    const job = { ...names, extractable, making: type.making, now: clock.now(), claimMs }
    const took = await pool.run('generate', job, { signal: call.signal, changes: true })
    keys.forget()
    const key = await keys.named(slug)
    if (key?.versions.some((one) => one.version === version) !== true) {
      const message = `the token has made ${names.label}, but does not show it`
      throw new KmsError('PROVIDER_UNAVAILABLE', message, { evidence: { unsettled: true } })
    }
    return { key, took: traceOf(took) }
  }

  function rotate(input: Input<'rotate'>, call: CallInfo): Promise<Output<'rotate'>> {
    return inTurn(async () => {
      const { slug } = await keys.keyOf(input.key, call)
      // Not what was known of it: another process may have rotated it.
      const key = await keys.named(slug)
      if (key === undefined)
        throw new KmsError('KEY_NOT_FOUND', 'there is no such key on the token', { key: input.key })
      const { latest, type, id } = key
      if (input.expectLatestVersion !== undefined && input.expectLatestVersion !== latest.version) {
        const message = `the latest version is ${latest.version}, not ${input.expectLatestVersion}`
        throw new KmsError('VERSION_CONFLICT', message, { key: slug })
      }
      if (latest.doubt !== undefined) throw new KmsError('VERSION_CONFLICT', latest.doubt, { key: slug })
      const version = latest.version + 1
      const extractable = latest.object.extractable === true && latest.operation !== undefined
      const made = await make({ slug, version, type, id, extractable }, call)
      return { key: keyView(made.key, call.scope), keyVersion: version, provider: made.took }
    })
  }

  return {
    rotate,
    rotateScheduled: ({ key, expectLatestVersion }, call) => rotate({ key, expectLatestVersion }, call),
    createKey(input, call) {
      return inTurn(async () => {
        const type = typeNamed(input.keyType ?? defaultKeyType)
        if (type === undefined)
          throw new KmsError('UNSUPPORTED_OPERATION', `a token holds no keys of type ${input.keyType}`)
        if (!inScope(call))
          throw new KmsError('INVALID_INPUT', 'the keys of this token belong to another region and project')
        refuseUnkept(input)
        const slug = input.slug ?? `key-${hex(randomBytes(8))}`
        if ((await keys.named(slug)) !== undefined) throw keyExists(slug)
        const wanted = { slug, version: 1, type, id: randomBytes(keyLength), extractable: input.exportAllowed === true }
        try {
          const { key, took } = await make(wanted, call)
          return { key: keyView(key, call.scope), provider: took }
        } catch (error) {
          const lostRace = error instanceof KmsError && error.code === 'VERSION_CONFLICT'
          throw lostRace && evidenceOf(error).unsettled !== true ? keyExists(slug) : error
        }
      })
    },
    async export(input, call) {
      const found = await keys.keyOf(input.key, call)
      return keys.fresh(found, async (key) => {
        const version = await keys.version(key, input.keyVersion)
        const { object } = version
        if (object.extractable !== true) {
          const message = `the token never lets ${object.label} out: it was made without exportAllowed`
          const evidence = { keyVersion: version.version }
          throw new KmsError('EXPORT_NOT_ALLOWED', message, { key: key.slug, evidence })
        }
        const form = formOf(input, key)
        const out = input.recipient === undefined ? inTheClear : wrapped
        const { keyMaterial, took } = await out(key, version, input, call)
        return { key: refOf(key), keyVersion: version.version, keyMaterial, form, provider: took }
      })
    },
  }

  async function wrapped(
    key: TokenKey,
    { object }: TokenVersion,
    input: Input<'export'>,
    call: CallInfo,
  ): Promise<Exported> {
    const { kwp } = abilities
    const seal = transportKeySealer(engine, input.recipient ?? new Uint8Array(0))
    if (kwp === undefined)
      throw new KmsError(
        'UNSUPPORTED_OPERATION',
        'the token has no CKM_AES_KEY_WRAP_KWP, nor another that wraps by RFC 5649',
      )
    if (!kwp.exact && key.type.uses.includes('sign')) {
      const message = 'the token adds zeros to private keys that it wraps, so that no importer would take them'
      throw new KmsError('UNSUPPORTED_OPERATION', message, { key: key.slug })
    }
    const { output, ...took } = await pool.run(
      'wrap',
      { key: object, mechanism: kwp.mechanism },
      { signal: call.signal },
    )
    try {
      return { keyMaterial: concat([await seal(output.kek), output.wrapped]), took: traceOf(took) }
    } finally {
      wipe(output.kek)
    }
  }

  /** Only what others have made so: keys of ours are sensitive. */
  async function inTheClear(
    key: TokenKey,
    { object }: TokenVersion,
    _input: Input<'export'>,
    call: CallInfo,
  ): Promise<Exported> {
    if (object.sensitive !== false || key.type.making.is === 'rsa' || key.type.uses.includes('sign')) {
      const message = "the token lets this key out only wrapped: give a 'recipient'"
      throw new KmsError('EXPORT_NOT_ALLOWED', message, { key: key.slug })
    }
    const { output, ...took } = await pool.run('value', { key: object }, { signal: call.signal })
    return { keyMaterial: output.value, took: traceOf(took) }
  }
}

interface NewVersion {
  readonly slug: string
  readonly version: number
  readonly type: TokenKeyType
  readonly id: Uint8Array
  readonly extractable: boolean
}

interface Exported {
  readonly keyMaterial: Uint8Array
  readonly took: ProviderTrace
}

function formOf({ form, recipient }: Input<'export'>, { type }: TokenKey): KeyMaterialForm {
  const natural = type.uses.includes('sign') ? 'pkcs8' : 'raw'
  const chosen = form ?? (recipient === undefined ? natural : 'wrapped')
  if ((chosen === 'wrapped') !== (recipient !== undefined))
    throw new KmsError('INVALID_INPUT', "'recipient' goes with form 'wrapped', and that one needs it")
  if (chosen !== 'wrapped' && chosen !== natural)
    throw new KmsError(
      'UNSUPPORTED_OPERATION',
      `a token gives ${type.keyType} keys in the forms ${natural} and wrapped only`,
    )
  return chosen
}

/** What a token has no place for is refused rather than forgotten. */
function refuseUnkept(input: Input<'createKey'>): void {
  const unkept = ['name', 'description', 'labels', 'annotations', 'rotationPeriodInDays'] as const
  const given =
    unkept.find((field) => input[field] !== undefined) ?? (input.keyRotationEnabled ? 'keyRotationEnabled' : undefined)
  if (given !== undefined) throw new KmsError('UNSUPPORTED_OPERATION', `a token keeps no '${given}' of a key`)
}

function keyExists(slug: string): KmsError {
  return new KmsError('KEY_EXISTS', 'a key with this slug is on the token', { key: slug })
}
