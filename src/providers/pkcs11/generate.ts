/** @node In the blocking thread: making a version, so that no two processes make the same one, and nobody can read it. */
import { equal, fromUtf8, utf8 } from '../../crypto/bytes.ts'
import { KmsError } from '../../model/errors.ts'
import { cka, ckk, ckm, cko, ckr } from './constants.ts'
import { type Attribute, faultOf, type Handle } from './cryptoki.ts'
import { attributes, buffer, find, read } from './objects.ts'
import type { Generation, Jobs } from './protocol.ts'
import type { Connection } from './session.ts'

const application = 'keytrail'

const settleMs = 100

/** What tokens answer that take no data objects, or not such ones. */
const refusals: readonly number[] = [
  ckr.ATTRIBUTE_TYPE_INVALID,
  ckr.ATTRIBUTE_VALUE_INVALID,
  ckr.FUNCTION_NOT_SUPPORTED,
  ckr.ACTION_PROHIBITED,
  ckr.TEMPLATE_INCOMPLETE,
  ckr.TEMPLATE_INCONSISTENT,
]

/**
 * Labels are not unique on a token, so a label is claimed first: a data object of its own, and whoever then sees another claim takes
 * its own back. Both may; never does nobody notice. Only the holder of the only claim looks whether the label is free and makes the
 * key. The key is one call: it is there whole, with its names, or not at all. A fault that comes out of here as it is means: no key.
 */
export function generate(connection: Connection, wanted: Generation): Jobs['generate']['output'] {
  const claim = claimLabel(connection, wanted)
  try {
    if (keysLabelled(connection, wanted.label) > 0) throw conflict(wanted.label)
    const secret = makeOrTell(connection, wanted)
    try {
      checkMade(connection, secret, wanted)
      // Two that could not claim.
      if (keysLabelled(connection, wanted.label) > 1) throw duplicate(wanted.label)
    } catch (error) {
      const name = faultOf(error)?.name
      throw name === undefined ? error : unsettled(name, wanted.label, error)
    }
    return { claimed: claim !== undefined }
  } finally {
    if (claim !== undefined) destroyQuietly(connection, claim)
  }
}

function claimLabel(connection: Connection, { label, id, now, claimMs }: Generation): Handle | undefined {
  const { api, session } = connection
  const names = {
    [cka.CLASS]: cko.DATA,
    [cka.TOKEN]: true,
    [cka.LABEL]: `claim of ${label}`,
    [cka.APPLICATION]: application,
  }
  const value = utf8(`${now} ${buffer(id).toString('hex')}`)
  let claim: Handle
  try {
    claim = api.C_CreateObject(session, attributes({ ...names, [cka.PRIVATE]: true, [cka.VALUE]: buffer(value) }))
  } catch (error) {
    const rv = faultOf(error)?.rv
    if (rv !== undefined && refusals.includes(rv)) return undefined
    throw error
  }
  try {
    refuseOthers(connection, attributes(names), { value, now, claimMs, label })
    // A token may show a process the objects of another one a moment late, as SoftHSM does.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, settleMs)
    refuseOthers(connection, attributes(names), { value, now, claimMs, label })
    return claim
  } catch (error) {
    destroyQuietly(connection, claim)
    throw error
  }
}

interface Claim {
  /** Its content. */
  readonly value: Uint8Array
  readonly now: number
  readonly claimMs: number
  readonly label: string
}

function refuseOthers(
  connection: Connection,
  names: readonly Attribute[],
  { value, now, claimMs, label }: Claim,
): void {
  for (const other of find(connection, names)) {
    const found = claimValue(connection, other)
    // Taken back since it was found: whoever held it looked for the key, or made it, and that is looked for next.
    if (found === undefined || equal(found, value)) continue
    const madeAt = Number(fromUtf8(found)?.split(' ')[0])
    if (Math.abs(now - madeAt) <= claimMs) throw conflict(label)
    // Of a process that died between its claim and its key.
    destroyQuietly(connection, other)
  }
}

function claimValue(connection: Connection, object: Handle): Uint8Array | undefined {
  try {
    return read(connection, object, [cka.VALUE]).get(cka.VALUE)
  } catch (error) {
    if (faultOf(error)?.rv === ckr.OBJECT_HANDLE_INVALID) return undefined
    throw error
  }
}

function keysLabelled(connection: Connection, label: string): number {
  const classes = [cko.SECRET_KEY, cko.PRIVATE_KEY]
  return classes.reduce((sum, objectClass) => {
    const named = { [cka.CLASS]: objectClass, [cka.TOKEN]: true, [cka.LABEL]: label }
    return sum + find(connection, attributes(named)).length
  }, 0)
}

/** Where the call fails, the token is asked whether it has made the key all the same. */
function makeOrTell(connection: Connection, wanted: Generation): Handle {
  try {
    try {
      return make(connection, wanted, { [cka.MODIFIABLE]: false })
    } catch (error) {
      const rv = faultOf(error)?.rv
      if (rv === undefined || !refusals.includes(rv)) throw error
      return make(connection, wanted, {})
    }
  } catch (error) {
    const name = faultOf(error)?.name
    if (name === undefined) throw error
    let made: number
    try {
      made = keysLabelled(connection, wanted.label)
    } catch (again) {
      if (faultOf(again) === undefined) throw again
      made = 1
    }
    if (made === 0) throw error
    throw unsettled(name, wanted.label, error)
  }
}

function unsettled(name: string, label: string, cause: unknown): KmsError {
  const message = `the token answered ${name}, and may have made ${label} all the same`
  return new KmsError('PROVIDER_UNAVAILABLE', message, { cause, evidence: { unsettled: true } })
}

function make(connection: Connection, { label, id, extractable, making }: Generation, extra: Flags): Handle {
  const { api, session } = connection
  const names = { [cka.TOKEN]: true, [cka.LABEL]: label, [cka.ID]: buffer(id), ...extra }
  const secret: Template = {
    ...names,
    [cka.PRIVATE]: true,
    [cka.SENSITIVE]: true,
    [cka.EXTRACTABLE]: extractable,
    [cka.WRAP]: false,
    [cka.UNWRAP]: false,
    [cka.DERIVE]: false,
  }
  if ('length' in making) {
    const aes = making.is === 'aes'
    const uses = { [cka.ENCRYPT]: aes, [cka.DECRYPT]: aes, [cka.SIGN]: !aes, [cka.VERIFY]: !aes }
    const kind = { [cka.CLASS]: cko.SECRET_KEY, [cka.KEY_TYPE]: aes ? ckk.AES : ckk.GENERIC_SECRET }
    const mechanism = aes ? ckm.AES_KEY_GEN : ckm.GENERIC_SECRET_KEY_GEN
    const template = attributes({ ...kind, ...secret, ...uses, [cka.VALUE_LEN]: making.length })
    return api.C_GenerateKey(session, { mechanism }, template)
  }
  const rsa = making.is === 'rsa'
  const shape: Template =
    making.is === 'rsa'
      ? { [cka.MODULUS_BITS]: making.bits, [cka.PUBLIC_EXPONENT]: Buffer.from([1, 0, 1]) }
      : { [cka.EC_PARAMS]: buffer(making.params) }
  const { [cka.WRAP]: _wrap, ...priv } = secret
  const pair = api.C_GenerateKeyPair(
    session,
    { mechanism: pairMechanisms[making.is] },
    attributes({ ...names, [cka.PRIVATE]: false, ...shape, [cka.VERIFY]: true, [cka.ENCRYPT]: rsa, [cka.WRAP]: false }),
    attributes({ ...priv, [cka.SIGN]: true, [cka.DECRYPT]: rsa }),
  )
  return pair.privateKey
}

type Flags = Readonly<Record<number, boolean>>
type Template = Readonly<Record<number, Attribute['value']>>

const pairMechanisms = {
  rsa: ckm.RSA_PKCS_KEY_PAIR_GEN,
  ec: ckm.EC_KEY_PAIR_GEN,
  edwards: ckm.EC_EDWARDS_KEY_PAIR_GEN,
} as const

/** A token that makes a key otherwise than it was told makes none for us. */
function checkMade(connection: Connection, secret: Handle, { label, extractable }: Generation): void {
  const found = read(connection, secret, [cka.SENSITIVE, cka.EXTRACTABLE])
  const sensitive = found.get(cka.SENSITIVE)?.[0] === 1
  if (sensitive && (found.get(cka.EXTRACTABLE)?.[0] === 1) === extractable) return
  connection.api.C_DestroyObject(connection.session, secret)
  throw new KmsError('INTERNAL', `the token made ${label} readable, against the template: the key was destroyed`)
}

function conflict(label: string): KmsError {
  return new KmsError('VERSION_CONFLICT', `${label} is being made by another process, or is there already`)
}

function duplicate(label: string): KmsError {
  const message = `the token holds more than one key labelled ${label}, and which is meant nobody can tell: remove the others`
  return new KmsError('VERSION_CONFLICT', message)
}

function destroyQuietly({ api, session }: Connection, object: Handle): void {
  try {
    api.C_DestroyObject(session, object)
  } catch (error) {
    // Gone already, or not to be had: then it is void in a while.
    if (faultOf(error) === undefined) throw error
  }
}
