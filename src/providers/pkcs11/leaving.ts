/** @node In the blocking thread: key material on its way out of the token. */
import { engine } from '#engine'
import { KmsError } from '../../model/errors.ts'
import { cka, ckk, cko } from './constants.ts'
import type { Handle } from './cryptoki.ts'
import { attributes, buffer, check, read } from './objects.ts'
import type { Jobs } from './protocol.ts'
import type { Connection } from './session.ts'

/** Wraps under a fresh key, which leaves with it: whoever may export an extractable key may choose its wrapping key anyway. */
export function wrap(connection: Connection, { key, mechanism }: Jobs['wrap']['input']): Jobs['wrap']['output'] {
  const { api, session } = connection
  const target = check(connection, key)
  const kek = new Uint8Array(32)
  engine.randomFill(kek)
  const wrapping = sessionSecret(connection, ckk.AES, kek, { [cka.WRAP]: true })
  const room = Buffer.alloc(mostWrapped)
  try {
    const wrapped = new Uint8Array(api.C_WrapKey(session, { mechanism }, wrapping, target, room))
    return { wrapped, kek }
  } finally {
    api.C_DestroyObject(session, wrapping)
  }
}

/** A PKCS#8 of an RSA-4096 key takes 2,400. */
const mostWrapped = 16_384

/** A key of known value for as long as the session, or until it is destroyed. */
export function sessionSecret(
  { api, session }: Connection,
  keyType: number,
  value: Uint8Array,
  uses: Readonly<Record<number, boolean>>,
): Handle {
  const template = {
    [cka.CLASS]: cko.SECRET_KEY,
    [cka.KEY_TYPE]: keyType,
    [cka.TOKEN]: false,
    [cka.VALUE]: buffer(value),
    ...uses,
  }
  return api.C_CreateObject(session, attributes(template))
}

/** In the clear: only for keys that were made to be read. */
export function value(connection: Connection, { key }: Jobs['value']['input']): Jobs['value']['output'] {
  const found = read(connection, check(connection, key), [cka.VALUE]).get(cka.VALUE)
  if (found === undefined) throw new KmsError('EXPORT_NOT_ALLOWED', 'the token does not let this key out in the clear')
  return { value: found }
}
