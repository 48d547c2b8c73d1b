/** @node In the blocking thread: one module, one slot, one session, and what it takes to open them again. */
import { KmsError } from '../../model/errors.ts'
import { ckf, ckr, loggedInStates, userType } from './constants.ts'
import { type Cryptoki, faultOf, type Handle, loadPackage, type Pkcs11Js, ulong } from './cryptoki.ts'
import type { Connected, TokenChoice, TokenFacts } from './protocol.ts'

export interface Connection {
  readonly library: Pkcs11Js
  readonly api: Cryptoki
  readonly slot: Handle
  readonly session: Handle
}

/** The one connection of a thread. */
export interface Connector {
  /** Loads the module, and initializes it unless that is done already; answers whether it was this call that did. */
  load(module: string): boolean
  /** Finds the token and opens a session: anew each time, for slots are renumbered. */
  connect(choice: TokenChoice): Connected
  login(pin: string): void
  current(): Connection
  /** The session is none any more: its handle may be another's by now, and is not closed. */
  forget(): void
  /** Another session in the place of one in which a call has failed: what it had begun must not be in the way of the next. */
  renew(): void
  end(finalize: boolean): void
}

export function connector(): Connector {
  let loaded: { readonly library: Pkcs11Js; readonly api: Cryptoki } | undefined
  let connection: Connection | undefined

  function loadModule(module: string): NonNullable<typeof loaded> {
    if (loaded !== undefined) return loaded
    const library = loadPackage()
    const api = new library.PKCS11()
    try {
      api.load(module)
    } catch (cause) {
      const message = `the PKCS#11 module ${module} does not load: is the path right, and built for this machine?`
      throw new KmsError('PROVIDER_UNAVAILABLE', message, { cause })
    }
    loaded = { library, api }
    return loaded
  }

  function current(): Connection {
    if (connection === undefined) throw new KmsError('PROVIDER_UNAVAILABLE', 'there is no session with the token')
    return connection
  }

  /** The new session is open before the old one is closed: with the last one of a process go its login and all handles. */
  function replace(next: Connection): void {
    const before = connection
    connection = next
    if (before !== undefined) closeQuietly(before)
  }

  return {
    load(module) {
      const fresh = initialize(loadModule(module).api)
      if (fresh) connection = undefined
      return fresh
    },
    connect(choice) {
      if (loaded === undefined) throw new KmsError('INTERNAL', 'no PKCS#11 module is loaded')
      const { library, api } = loaded
      const { slot, token } = findToken(api, choice)
      replace({ library, api, slot, session: openSession(api, slot, token.flags) })
      const { session } = current()
      // A login counts for all sessions of the process.
      const loggedIn = loggedInStates.includes(api.C_GetSessionInfo(session).state)
      return { token, loggedIn: loggedIn || (token.flags & ckf.LOGIN_REQUIRED) === 0 }
    },
    login(pin) {
      const { api, session } = current()
      try {
        api.C_Login(session, userType, pin)
      } catch (error) {
        if (faultOf(error)?.rv !== ckr.USER_ALREADY_LOGGED_IN) throw error
      }
    },
    current,
    forget() {
      connection = undefined
    },
    renew() {
      if (connection === undefined) return
      const { api, slot } = connection
      replace({ ...connection, session: openSession(api, slot, api.C_GetTokenInfo(slot).flags) })
    },
    end(finalize) {
      if (loaded === undefined) return
      const { api } = loaded
      if (connection !== undefined) {
        if (finalize) quietly(api.C_Logout.bind(api, connection.session))
        closeQuietly(connection)
        connection = undefined
      }
      if (finalize) quietly(api.C_Finalize.bind(api))
    },
  }
}

function openSession(api: Cryptoki, slot: Handle, tokenFlags: number): Handle {
  const readWrite = (tokenFlags & ckf.WRITE_PROTECTED) === 0 ? ckf.RW_SESSION : 0
  return api.C_OpenSession(slot, ckf.SERIAL_SESSION | readWrite)
}

/** Whether it was this call that did it: a module is initialized once a process, whoever loads it. */
function initialize(api: Cryptoki): boolean {
  try {
    api.C_Initialize({ flags: ckf.OS_LOCKING_OK })
    return true
  } catch (error) {
    if (faultOf(error)?.rv === ckr.CRYPTOKI_ALREADY_INITIALIZED) return false
    throw error
  }
}

function findToken(api: Cryptoki, choice: TokenChoice): { readonly slot: Handle; readonly token: TokenFacts } {
  const found = api.C_GetSlotList(true).flatMap((slot) => {
    const token = tokenIn(api, slot)
    return token !== undefined && matches(slot, token, choice) ? [{ slot, token }] : []
  })
  const [only, another] = found
  if (only === undefined)
    throw new KmsError('PROVIDER_UNAVAILABLE', `no slot of the module holds ${said(choice)}: pkcs11-tool -L lists them`)
  if (another !== undefined)
    throw new KmsError('INVALID_INPUT', `more than one slot holds ${said(choice)}: name its serial number, too`)
  return only
}

/** Undefined for an uninitialized token, or one that was pulled out just now. */
function tokenIn(api: Cryptoki, slot: Handle): TokenFacts | undefined {
  try {
    const { label, serialNumber, manufacturerID, model, flags } = api.C_GetTokenInfo(slot)
    if ((flags & ckf.TOKEN_INITIALIZED) === 0) return undefined
    return {
      label: unpadded(label),
      serial: unpadded(serialNumber),
      manufacturer: unpadded(manufacturerID),
      model: unpadded(model),
      flags,
    }
  } catch (error) {
    if (faultOf(error) !== undefined) return undefined
    throw error
  }
}

/** Fields have a fixed length and are filled with blanks; some modules end them with a zero. */
function unpadded(text: string): string {
  return text.replace(/[\s\0]+$/, '')
}

function matches(slot: Handle, token: TokenFacts, { label, serial, slot: number }: TokenChoice): boolean {
  if (label !== undefined && label !== token.label) return false
  if (serial !== undefined && serial !== token.serial) return false
  return number === undefined || number === ulong(slot)
}

function said({ label, serial, slot }: TokenChoice): string {
  const parts = [
    label === undefined ? '' : `labelled '${label}'`,
    serial === undefined ? '' : `with the serial number '${serial}'`,
    slot === undefined ? '' : `in slot ${slot}`,
  ]
  return `a token ${parts.filter((part) => part !== '').join(' ')}`
}

function closeQuietly({ api, session }: Connection): void {
  quietly(() => api.C_CloseSession(session))
}

/** For what may be gone already: whatever the token says, there is nothing left to do about it. */
function quietly(call: () => void): void {
  try {
    call()
  } catch (error) {
    if (faultOf(error) === undefined) throw error
  }
}
