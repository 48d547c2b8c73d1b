/** The middleware: who may do what with which key, from where and when. */
import { type Clock, systemClock } from '../../model/clock.ts'
import { asKmsError } from '../../model/dispatch.ts'
import { type Evidence, KmsError } from '../../model/errors.ts'
import type { KeyRef, Scope } from '../../model/key.ts'
import type { KmsCall, KmsMiddleware } from '../../model/middleware.ts'
import type { Input, Operation, Output } from '../../model/operation.ts'
import { andThen, isPromise } from '../../model/promise.ts'
import type { KmsProvider } from '../../model/provider.ts'
import { type AskedKey, compileRules, type Judgement, type Question } from './judge.ts'
import { exportPermission, needs, type Permission } from './permissions.ts'
import { type AccessRule, checkRules } from './rules.ts'

export interface AccessPolicyOptions {
  /** Checked and copied: what happens to them afterwards changes nothing. */
  readonly rules: readonly AccessRule[]
  /**
   * The client's own provider: finds the destination of a `reEncrypt` before the call, and what its answer is to an unknown key.
   * Without it a destination is allowed only by rules for the key `*`, and denied by any that may be about it.
   */
  readonly provider?: KmsProvider
  /**
   * Refuse with what the provider says of a key that there is not, `KEY_NOT_FOUND` 404; the entry says `ACCESS_DENIED` 403 all the
   * same. Needs `provider`. Calls that name no key are refused with `ACCESS_DENIED` as ever.
   */
  readonly hideExistence?: boolean
  /** For rules with hours. */
  readonly clock?: Clock
}

type Answer = Output<Operation> | Promise<Output<Operation>>

/**
 * Lets a call go on if a rule allows it and none denies it, and refuses it otherwise: `ACCESS_DENIED`, with an entry that names the
 * deny in `details.rule`, or no rule where none allows the call.
 *
 * The audit resolves the key before, so that a rule on a slug holds whichever name the caller gives, and a key that there is not
 * is `KEY_NOT_FOUND` to everyone: without `hideExistence` callers can tell which keys there are. `listKeys` answers with the keys that
 * its caller may list and describe, and its entry counts those. `reEncrypt` is held to the key that opens and to the one that seals.
 *
 * @throws KmsError `INVALID_INPUT` for wrong rules or options.
 *
 * @example
 * ```ts
 * const provider = await openLocalKms({ path: './keys', rootKey })
 * const kms = new KmsClient({
 *   provider,
 *   audit: { required: [trail] },
 *   middleware: [
 *     accessPolicy({
 *       provider,
 *       rules: [
 *         { id: 'billing', effect: 'allow', actors: ['serviceAccount:billing'], actions: ['kms:Encrypt', 'kms:Decrypt'], keys: ['orders'] },
 *         { id: 'no-machine-reads-pay', effect: 'deny', actors: ['serviceAccount:*'], actions: ['kms:*'], keys: ['payroll-*'] },
 *       ],
 *     }),
 *   ],
 * })
 * ```
 */
export function accessPolicy(options: AccessPolicyOptions): KmsMiddleware {
  const { provider, hideExistence = false, clock = systemClock } = checkOptions(options)
  const rules = compileRules(checkRules(options.rules))

  return Object.assign(policy, { admit })

  /** Of a change, before its intent: a refusal is one entry, and takes no longer than that of a key that there is not. */
  function admit(call: KmsCall): void | Promise<never> {
    const judgement = rules.judge(permissionOf(call), questionOf(call))
    if (judgement.verdict !== 'allowed') return refuse(call, judgement)
  }

  function policy(call: KmsCall, next: () => Answer): Answer {
    const question = questionOf(call)
    const judgement = rules.judge(permissionOf(call), question)
    if (judgement.verdict !== 'allowed') return refuse(call, judgement)
    if (call.operation === 'listKeys') return andThen(next(), (output) => readable(question, output))
    if (call.operation === 'reEncrypt') return reEncrypt(call, question, next)
    return next()
  }

  function questionOf(call: KmsCall): Question {
    const { context, scope } = call
    return {
      actor: context.actor ?? { type: 'unknown' },
      key: askedKey(call),
      clientIp: context.clientIp === undefined ? 'unknown' : { address: context.clientIp },
      at: rules.asksTime ? clock.now() : 0,
      project: scope.project,
      region: scope.region,
    }
  }

  /** Of what was listed, what the caller may see: it tells as much as `describeKey` of each. */
  function readable(question: Question, listed: Output<Operation>): Output<Operation> {
    // The answer to `listKeys`.
    const output = listed as Output<'listKeys'>
    const may = (permission: Permission, key: KeyRef) =>
      rules.judge(permission, { ...question, key }).verdict === 'allowed'
    const keys = output.keys.filter((key) => may('kms:ListKeys', key) && may('kms:DescribeKey', key))
    return { ...output, keys }
  }

  /** The key that opens is judged; so is the one that seals, before the call and, if it then was another, after it. */
  function reEncrypt(call: KmsCall, question: Question, next: () => Answer): Answer {
    // As the operation says.
    const { destinationKey } = call.input as Input<'reEncrypt'>
    const destination = destinationKey === undefined ? question.key : find(destinationKey, call.scope)
    return andThen(destination, (key) => {
      const judgement = rules.judge('kms:ReEncryptTo', { ...question, key })
      if (judgement.verdict !== 'allowed') return refuse(call, judgement)
      return andThen(next(), (sealed) => {
        const output = sealed as Output<'reEncrypt'>
        if (typeof key === 'object' && key.identity === output.destinationKey.identity) return output
        const used = rules.judge('kms:ReEncryptTo', { ...question, key: output.destinationKey })
        if (used.verdict === 'allowed') return output
        output.ciphertext.fill(0)
        return refuse(call, used)
      })
    })
  }

  function find(name: string, scope: Scope): AskedKey | Promise<AskedKey> {
    return provider?.resolve === undefined ? 'unknown' : provider.resolve(name, scope)
  }

  function refuse(call: KmsCall, { rule }: Judgement): Promise<never> {
    const evidence: Evidence = { code: 'ACCESS_DENIED', ...(rule !== undefined && { rule }) }
    if (!hideExistence || needs[call.operation].about !== 'key')
      throw new KmsError('ACCESS_DENIED', 'the access policy does not allow this call', { evidence })
    const absent = noSuchKey(call.scope)
    if (!isPromise(absent)) throw hidden(absent, evidence)
    return absent.then((error) => {
      throw hidden(error, evidence)
    })
  }

  /** What the provider says of a key that there is not, asked each time: in its words, and after as long as it takes to find out. */
  function noSuchKey(scope: Scope): KmsError | Promise<KmsError> {
    try {
      const found = provider?.resolve?.(nobodysKey, scope)
      return isPromise(found) ? found.then(unlikely, asKmsError) : unlikely()
    } catch (error) {
      return asKmsError(error)
    }
  }
}

/** No slug may begin so, and identities are longer. */
const nobodysKey = 'kms-none'

function unlikely(): KmsError {
  return new KmsError('KEY_NOT_FOUND', 'there is no such key')
}

function hidden({ code, message, cause }: KmsError, evidence: Evidence): KmsError {
  return new KmsError(code, message, { evidence, ...(cause !== undefined && { cause }) })
}

function permissionOf({ operation, input }: KmsCall): Permission {
  if (operation !== 'export') return needs[operation].permission
  const { form = 'wrapped', recipient } = input as Input<'export'>
  return exportPermission(recipient !== undefined && form === 'wrapped')
}

function askedKey({ operation, input, key }: KmsCall): AskedKey {
  const { about } = needs[operation]
  if (about === 'key') return key ?? 'unknown'
  if (about !== 'newKey') return about
  const { slug } = input as Input<'createKey'>
  return slug === undefined ? 'unknown' : { slug }
}

function checkOptions(options: AccessPolicyOptions): AccessPolicyOptions {
  if (typeof options !== 'object' || options === null) refuseOption('accessPolicy takes one object: { rules }')
  const { provider, hideExistence = false, clock = systemClock } = options
  if (provider !== undefined && typeof provider?.operations !== 'object')
    refuseOption("'provider' must be the client's KmsProvider")
  if (typeof hideExistence !== 'boolean') refuseOption("'hideExistence' must be true or false")
  if (hideExistence && typeof provider?.resolve !== 'function')
    refuseOption(
      "'hideExistence' needs 'provider', one that resolves keys: its answer to an unknown key is given to all",
    )
  if (typeof clock?.now !== 'function') refuseOption("'clock' must have a function now()")
  return options
}

function refuseOption(message: string): never {
  throw new KmsError('INVALID_INPUT', message)
}
