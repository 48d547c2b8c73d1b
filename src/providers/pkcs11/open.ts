/** Opens a token of a PKCS#11 module as a provider. */
import { type Clock, systemClock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import type { Scope } from '../../model/key.ts'
import type { Operation } from '../../model/operation.ts'
import type { CallInfo, IntentOutcome, KmsProvider } from '../../model/provider.ts'
import { tokenCalls } from './calls.ts'
import { tokenChanges } from './change.ts'
import { ckf, ckm, type MechanismName } from './constants.ts'
import { operationBytes } from './key-id.ts'
import { madeBy, tokenKeys } from './keys.ts'
import { openPool, type Pool, type SessionCounts } from './pool.ts'
import type { Abilities, TokenFacts } from './protocol.ts'
import { tokenProofs } from './proving.ts'
import { tokenSealing } from './sealing.ts'
import { keyView } from './view.ts'

export interface Pkcs11Options {
  /** Path of the module, such as `/usr/lib/softhsm/libsofthsm2.so`. It runs in this process: name only one that you trust. */
  readonly module: string
  /** The token's label; or its serial number, its slot, or several of these, where labels are not unique. */
  readonly token:
    | string
    | {
        readonly label?: string
        readonly serial?: string
        /** As `pkcs11-tool -L` shows it; a slot's number may change with the next start. */
        readonly slot?: number
      }
  /**
   * The user PIN, or a function that gets it when there is to be a login: at opening, and again when the token has forgotten its
   * sessions. A function is better: the PIN is then held by nobody in between.
   */
  readonly pin: string | (() => string | Promise<string>)
  /** Sessions at most, each with a thread of its own: as many calls are in the token at a time. 1–64, by default 4; opened as needed. */
  readonly sessions?: number
  /** Calls that may wait for a session; more are `OVERLOADED`. 1,000 by default. */
  readonly maxWaiting?: number
  /** The region and project that the token's keys belong to: calls of another find none. Absent: of any. */
  readonly scope?: Scope
  /** For how long a name is not looked up again, ms; 60,000 by default, 0 for never. A version made elsewhere is used after as long. */
  readonly resolveTtlMs?: number
  /** How long `close` waits for calls in the token, ms; 5,000 by default. */
  readonly closeTimeoutMs?: number
  readonly clock?: Clock
}

export interface Pkcs11Kms extends KmsProvider {
  readonly name: 'pkcs11'
  /** What the token says of itself. */
  readonly token: Omit<TokenFacts, 'flags'>
  /** The mechanisms that it lists, by number (`CKM_…` of PKCS#11). */
  readonly mechanisms: readonly number[]
  /** How the sessions stand now, for a readiness probe: `abandoned` ones are in calls that take too long. */
  sessions(): SessionCounts
  outcomeOf(operationID: string): Promise<IntentOutcome>
  /** Lets calls settle, logs out, and finalizes the module unless others of this process still use it. Idempotent. */
  close(): Promise<void>
}

/**
 * A token of a PKCS#11 module (an HSM, a smart card, SoftHSM) as a provider. Needs the optional peer `pkcs11js`.
 *
 * The module is loaded, logged in to and tried out: operations that this token cannot do at all are left out of `operations`, and a
 * mechanism that only some key types need is refused as `UNSUPPORTED_OPERATION` that names it. Keys are the token's objects labelled
 * `slug/v1`, `slug/v2` …; one labelled only `slug`, by another tool, is version 1 of a key. Those that are made here are sensitive,
 * private, not modifiable, and not extractable without `exportAllowed`.
 *
 * Calls run in threads of their own: this one never blocks. A call that has not yet got a session is given up when its caller gives
 * up; one inside the module cannot be, and its session is back when the module returns.
 *
 * @throws KmsError `ACCESS_DENIED` for a refused PIN, which is never tried again by itself; `PROVIDER_UNAVAILABLE` for a missing
 * package, module, token or session; `INVALID_INPUT` for options that make no sense, or more than one token that fits.
 *
 * @example
 * ```ts
 * const token = await openPkcs11({
 *   module: '/usr/lib/softhsm/libsofthsm2.so',
 *   token: 'billing',
 *   pin: () => readFile('/run/secrets/hsm-pin', 'utf8').then((text) => text.trim()),
 * })
 * const kms = new KmsClient({ provider: token, audit: { required: [trail] } })
 * ```
 */
export async function openPkcs11(options: Pkcs11Options): Promise<Pkcs11Kms> {
  const { module, scope, resolveTtlMs, clock = systemClock } = options
  checkOptions(options)
  const { pin } = options
  const pool: Pool = await openPool({
    module,
    choice: typeof options.token === 'string' ? { label: options.token } : { ...options.token },
    pin: typeof pin === 'string' ? () => pin : pin,
    sessions: options.sessions ?? 4,
    maxWaiting: options.maxWaiting ?? 1000,
    closeMs: options.closeTimeoutMs ?? 5000,
    clock,
    onReset: () => keys.reset(),
  })
  const keys = tokenKeys({ pool: () => pool, scope, ttlMs: resolveTtlMs, clock })
  let abilities: Abilities
  try {
    abilities = (await pool.run('probe', {}, {})).output
  } catch (error) {
    await pool.close()
    throw error
  }

  function inScope({ scope: asked }: CallInfo): boolean {
    return scope === undefined || (scope.region === asked.region && scope.project === asked.project)
  }

  const calls = tokenCalls({ pool, keys, abilities })
  const all: KmsProvider['operations'] = {
    ...tokenSealing(calls),
    ...tokenProofs(calls),
    ...tokenChanges({ pool, keys, abilities, clock, inScope }),
    async describeKey(input, call) {
      const { identity } = await keys.keyOf(input.key, call)
      const found = (await keys.all()).find((key) => key.identity === identity)
      if (found === undefined)
        throw new KmsError('KEY_NOT_FOUND', 'there is no such key on the token', { key: input.key })
      return { key: keyView(found, call.scope) }
    },
    async listKeys(_input, call) {
      return { keys: inScope(call) ? (await keys.all()).map((key) => keyView(key, call.scope)) : [] }
    },
  }
  const lacking = lackedBy(abilities, pool.token)
  const { flags: _flags, ...token } = pool.token
  return Object.freeze({
    name: 'pkcs11' as const,
    token: Object.freeze(token),
    mechanisms: Object.freeze(abilities.mechanisms.map(([mechanism]) => mechanism)),
    operations: Object.freeze(Object.fromEntries(Object.entries(all).filter(([operation]) => !lacking.has(operation)))),
    resolve: keys.resolve,
    async outcomeOf(operationID: string) {
      // What is not there may be an export, or a version that was removed since.
      return madeBy(await keys.all(), operationBytes(operationID, 0)) ? ('done' as const) : ('unknown' as const)
    },
    sessions: pool.counts,
    close: pool.close,
  })
}

/** What no key on such a token can do. */
function lackedBy({ mechanisms, gcm }: Abilities, { flags }: TokenFacts): ReadonlySet<string> {
  const can = (name: MechanismName, flag: number) =>
    mechanisms.some(([mechanism, told]) => mechanism === ckm[name] && (told & flag) !== 0)
  const lacking: Operation[] = []
  if (gcm === undefined && !can('RSA_PKCS_OAEP', ckf.DECRYPT))
    lacking.push('encrypt', 'decrypt', 'generateDataKey', 'reEncrypt')
  const signs: readonly MechanismName[] = ['RSA_PKCS', 'RSA_PKCS_PSS', 'ECDSA', 'EDDSA']
  if (!signs.some((name) => can(name, ckf.SIGN))) lacking.push('sign', 'verify', 'getPublicKey')
  const macs: readonly MechanismName[] = ['SHA256_HMAC', 'SHA384_HMAC', 'SHA512_HMAC']
  if (!macs.some((name) => can(name, ckf.SIGN))) lacking.push('hmac', 'verifyHmac')
  if ((flags & ckf.WRITE_PROTECTED) !== 0) lacking.push('createKey', 'rotate', 'rotateScheduled')
  return new Set(lacking)
}

function checkOptions({ module, token, pin, sessions, maxWaiting }: Pkcs11Options): void {
  if (typeof module !== 'string' || module === '') refuse("'module' must be the path of a PKCS#11 module")
  const named =
    typeof token === 'string' ? token !== '' : Object.values(token ?? {}).some((value) => value !== undefined)
  if (!named) refuse("'token' must name a token by its label, its serial number or its slot")
  if (typeof pin !== 'function' && (typeof pin !== 'string' || pin === ''))
    refuse("'pin' must be a string that is not empty, or a function that gives one")
  if (sessions !== undefined && !(Number.isInteger(sessions) && sessions >= 1 && sessions <= 64))
    refuse("'sessions' must be an integer from 1 to 64")
  if (maxWaiting !== undefined && !(Number.isInteger(maxWaiting) && maxWaiting >= 1))
    refuse("'maxWaiting' must be an integer of 1 or more")
}

function refuse(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
