/** @node In the blocking thread: what the token can really do. Lists are read, and then tried: some lists lie. */
import { engine } from '#engine'
import { equal, utf8, wipe } from '../../crypto/bytes.ts'
import { wrapKwp } from '../../crypto/kwp.ts'
import { KmsError } from '../../model/errors.ts'
import { cka, ckk, ckm, cko } from './constants.ts'
import { encrypt, gcm, ivLength, random, tagLength } from './crypt.ts'
import { faultOf, type Handle } from './cryptoki.ts'
import { sessionSecret } from './leaving.ts'
import { attributes, buffer } from './objects.ts'
import type { Abilities, GcmParameters } from './protocol.ts'
import type { Connection } from './session.ts'

/** Works with objects of the session only: nothing stays on the token. */
export function probe(connection: Connection): Abilities {
  const { api, slot } = connection
  const mechanisms = api.C_GetMechanismList(slot).flatMap((mechanism) => {
    const flags = tried(() => api.C_GetMechanismInfo(slot, mechanism).flags)
    return flags === undefined ? [] : [[mechanism, flags] as const]
  })
  const listed = new Set(mechanisms.map(([mechanism]) => mechanism))
  const parameters = listed.has(ckm.AES_GCM) ? gcmParameters(connection) : undefined
  const kwp = [ckm.AES_KEY_WRAP_KWP, ckm.AES_KEY_WRAP_PAD].find((one) => listed.has(one) && isKwp(connection, one, 24))
  const exact = kwp !== undefined && isKwp(connection, kwp, 21)
  return {
    mechanisms,
    ...(parameters !== undefined && { gcm: parameters }),
    ...(kwp !== undefined && { kwp: { mechanism: kwp, exact } }),
  }
}

/** Undefined where the token refuses. */
function tried<T>(attempt: () => T): T | undefined {
  try {
    return attempt()
  } catch (error) {
    if (faultOf(error) === undefined && !(error instanceof KmsError)) throw error
    return undefined
  }
}

const probeText = utf8('keytrail/pkcs11/probe/1')

function gcmParameters(connection: Connection): GcmParameters | undefined {
  const { api, session } = connection
  const key = tried(() =>
    api.C_GenerateKey(
      session,
      { mechanism: ckm.AES_KEY_GEN },
      attributes({
        [cka.CLASS]: cko.SECRET_KEY,
        [cka.KEY_TYPE]: ckk.AES,
        [cka.TOKEN]: false,
        [cka.SENSITIVE]: true,
        [cka.EXTRACTABLE]: false,
        [cka.ENCRYPT]: true,
        [cka.DECRYPT]: true,
        [cka.VALUE_LEN]: 32,
      }),
    ),
  )
  if (key === undefined) return undefined
  const ways: readonly GcmParameters[] = ['with-bits', 'without-bits']
  const found = ways.find((way) => tried(() => isGcm(connection, key, way)) === true)
  tried(() => api.C_DestroyObject(session, key))
  return found
}

/** There and back, and not with other associated data: a structure that was misread would bind none. */
function isGcm(connection: Connection, key: Handle, way: GcmParameters): boolean {
  const { library } = connection
  const iv = random(connection, ivLength)
  const mechanism = gcm(library, way, { iv, aad: probeText })
  const sealed = encrypt(connection, mechanism, key, { input: probeText, length: probeText.length + tagLength })
  const opened = decrypted(connection, key, way, { iv, aad: probeText, sealed })
  if (opened === undefined || !equal(opened, probeText)) return false
  return tried(() => decrypted(connection, key, way, { iv, aad: probeText.subarray(1), sealed })) === undefined
}

interface Sealed {
  readonly iv: Uint8Array
  readonly aad: Uint8Array
  readonly sealed: Uint8Array
}

function decrypted(connection: Connection, key: Handle, way: GcmParameters, { iv, aad, sealed }: Sealed): Uint8Array {
  const { api, library, session } = connection
  api.C_DecryptInit(session, gcm(library, way, { iv, aad }), key)
  return api.C_Decrypt(session, buffer(sealed), Buffer.alloc(sealed.length))
}

/** CKM_AES_KEY_WRAP_PAD was RFC 5649 to some, and PKCS#7 under RFC 3394 to others: the bytes tell. */
function isKwp(connection: Connection, mechanism: number, length: number): boolean {
  const { api, session } = connection
  const kek = new Uint8Array(32)
  const material = new Uint8Array(length)
  engine.randomFill(kek)
  engine.randomFill(material)
  const wrapped = tried(() => {
    const wrapping = sessionSecret(connection, ckk.AES, kek, { [cka.WRAP]: true })
    const target = sessionSecret(connection, ckk.GENERIC_SECRET, material, { [cka.EXTRACTABLE]: true })
    const bytes = api.C_WrapKey(session, { mechanism }, wrapping, target, Buffer.alloc(64))
    api.C_DestroyObject(session, wrapping)
    api.C_DestroyObject(session, target)
    return bytes
  })
  const same = wrapped !== undefined && equal(wrapped, wrapKwp(engine, kek, material))
  wipe(kek, material)
  return same
}
