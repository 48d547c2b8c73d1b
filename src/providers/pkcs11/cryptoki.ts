/** @node The used part of `pkcs11js` in our words, and how it is loaded: an optional peer that is compiled at install. */
import { createRequire } from 'node:module'
import { KmsError } from '../../model/errors.ts'

/** Sessions, slots and objects are a CK_ULONG each, as the host has it. */
export type Handle = Buffer

export interface Attribute {
  readonly type: number
  readonly value?: Buffer | string | number | boolean
}

export interface Mechanism {
  readonly mechanism: number
  readonly parameter?: object | null
}

export interface TokenFlags {
  readonly label: string
  readonly manufacturerID: string
  readonly model: string
  readonly serialNumber: string
  readonly flags: number
}

/** One loaded module. Everything throws what {@link faultOf} reads. */
export interface Cryptoki {
  load(path: string): void
  C_Initialize(options: { readonly flags: number }): void
  C_Finalize(): void
  C_GetSlotList(tokenPresent: boolean): Handle[]
  C_GetTokenInfo(slot: Handle): TokenFlags
  C_GetMechanismList(slot: Handle): number[]
  C_GetMechanismInfo(
    slot: Handle,
    mechanism: number,
  ): { readonly flags: number; readonly minKeySize: number; readonly maxKeySize: number }
  C_OpenSession(slot: Handle, flags: number): Handle
  C_CloseSession(session: Handle): void
  C_GetSessionInfo(session: Handle): { readonly state: number }
  C_Login(session: Handle, user: number, pin: string): void
  C_Logout(session: Handle): void
  C_GenerateRandom(session: Handle, into: Buffer): Buffer
  C_CreateObject(session: Handle, template: readonly Attribute[]): Handle
  C_DestroyObject(session: Handle, object: Handle): void
  C_GetAttributeValue(session: Handle, object: Handle, wanted: readonly { readonly type: number }[]): unknown
  C_FindObjectsInit(session: Handle, template: readonly Attribute[]): void
  C_FindObjects(session: Handle, most: number): Handle[]
  C_FindObjectsFinal(session: Handle): void
  C_GenerateKey(session: Handle, mechanism: Mechanism, template: readonly Attribute[]): Handle
  C_GenerateKeyPair(
    session: Handle,
    mechanism: Mechanism,
    publicTemplate: readonly Attribute[],
    privateTemplate: readonly Attribute[],
  ): { readonly publicKey: Handle; readonly privateKey: Handle }
  C_EncryptInit(session: Handle, mechanism: Mechanism, key: Handle): void
  C_Encrypt(session: Handle, input: Buffer, into: Buffer): Buffer
  C_DecryptInit(session: Handle, mechanism: Mechanism, key: Handle): void
  C_Decrypt(session: Handle, input: Buffer, into: Buffer): Buffer
  C_SignInit(session: Handle, mechanism: Mechanism, key: Handle): void
  C_Sign(session: Handle, input: Buffer, into: Buffer): Buffer
  C_WrapKey(session: Handle, mechanism: Mechanism, wrapping: Handle, key: Handle, into: Buffer): Buffer
}

/** The package. The numbers say to it which structure a mechanism's parameter is. */
export interface Pkcs11Js {
  readonly PKCS11: new () => Cryptoki
  readonly CK_PARAMS_AES_GCM: number
  readonly CK_PARAMS_AES_GCM_v240: number
  readonly CK_PARAMS_RSA_OAEP: number
  readonly CK_PARAMS_RSA_PSS: number
}

const packageName = 'pkcs11js'

/** `PROVIDER_UNAVAILABLE` that says what to install, where it is not. */
export function loadPackage(): Pkcs11Js {
  const require = createRequire(import.meta.url)
  try {
    // Its types are those of the version that the peer range names.
    return require(packageName) as Pkcs11Js
  } catch (cause) {
    const missing = (cause as { readonly code?: unknown }).code === 'MODULE_NOT_FOUND'
    const message = missing
      ? `the PKCS#11 provider needs the package ${packageName}: npm i ${packageName} (it is compiled: Python, make, a C++ compiler)`
      : `the package ${packageName} does not load on this Node: npm rebuild ${packageName}`
    throw new KmsError('PROVIDER_UNAVAILABLE', message, { cause })
  }
}

/** What a PKCS#11 call answered instead of CKR_OK. */
export interface Fault {
  readonly rv: number
  /** As the specification names it, such as `CKR_PIN_INCORRECT`. */
  readonly name: string
}

/** Reads an error of the package, whose methods do not all throw alike; undefined for any other. */
export function faultOf(thrown: unknown): Fault | undefined {
  if (!(thrown instanceof Error)) return undefined
  const said = /\b(CKR_[A-Z0-9_]{1,48})(?::(\d{1,10}))?/.exec(thrown.message)
  const name = said?.[1]
  if (name === undefined) return undefined
  const code = (thrown as { readonly code?: unknown }).code
  const rv = said?.[2] !== undefined ? Number(said[2]) : code
  return typeof rv === 'number' ? { rv, name } : undefined
}

/** The value of a CK_ULONG attribute, in the host's width and order; undefined for what is none. */
export function ulong(value: Uint8Array | undefined): number | undefined {
  if (value === undefined || (value.length !== 4 && value.length !== 8)) return undefined
  const bytes = littleEndian ? [...value].reverse() : [...value]
  const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
  return Number.isSafeInteger(number) ? number : undefined
}

const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1
