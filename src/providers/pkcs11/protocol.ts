/** What the thread that asks and the thread that blocks say to each other: plain values that can be copied. */
import type { KmsErrorCode } from '../../model/errors.ts'
import type { HashAlgorithm } from '../../model/operation.ts'
import type { Fault } from './cryptoki.ts'

/** Which token of the module. */
export interface TokenChoice {
  readonly label?: string
  readonly serial?: string
  /** The number of the slot, as `pkcs11-tool -L` shows it in parentheses. */
  readonly slot?: number
}

export interface TokenFacts {
  readonly label: string
  readonly serial: string
  readonly manufacturer: string
  readonly model: string
  readonly flags: number
}

export interface Connected {
  readonly token: TokenFacts
  readonly loggedIn: boolean
}

/** An object that a job uses: refused if its label or CKA_ID is not what it was, for handles may be given anew. */
export interface ObjectRef {
  readonly handle: Uint8Array
  readonly label: string
  readonly id: Uint8Array
}

/** A key object as the token describes it. */
export interface ObjectFacts extends ObjectRef {
  readonly objectClass: number
  readonly keyType: number
  readonly extractable?: boolean
  readonly sensitive?: boolean
  readonly valueLength?: number
  readonly modulus?: Uint8Array
  readonly exponent?: Uint8Array
  readonly ecParams?: Uint8Array
  readonly ecPoint?: Uint8Array
}

/** What a token can really do, tried out. */
export interface Abilities {
  /** Number and flags of each mechanism it lists. */
  readonly mechanisms: readonly (readonly [number, number])[]
  /** How AES-GCM takes its parameters, if a message went there and back, and a changed one did not. */
  readonly gcm?: GcmParameters
  readonly kwp?: Kwp
}

/** A mechanism that wraps by RFC 5649, found by comparing. */
export interface Kwp {
  readonly mechanism: number
  /** Whether key material of any length arrives as it was. SoftHSM fills it up to eights with zeros first, which then belong to it. */
  readonly exact: boolean
}

/** With the length of the IV in bits, as the text of version 2.40 has it, or without, as its first header had. */
export type GcmParameters = 'with-bits' | 'without-bits'

export type OaepHash = 'sha256' | 'sha1'

/** What to seal: bytes, or fresh ones of the token's. */
export type Plaintext = { readonly bytes: Uint8Array } | { readonly random: number }

export type SignScheme =
  | { readonly is: 'pss'; readonly hashAlgorithm: HashAlgorithm }
  | { readonly is: 'bare'; readonly mechanism: number }

/** What is made, and under which names. */
export interface Generation {
  readonly label: string
  readonly id: Uint8Array
  readonly extractable: boolean
  readonly making: Making
  /** Nobody else may make this label meanwhile: a claim, made at this time (ms), that is void after `claimMs`. */
  readonly now: number
  readonly claimMs: number
}

export type Making =
  | { readonly is: 'aes' | 'secret'; readonly length: number }
  | { readonly is: 'rsa'; readonly bits: number }
  | { readonly is: 'ec' | 'edwards'; readonly params: Uint8Array }

/** Every job of the blocking thread: its input and output. */
export interface Jobs {
  /** `initialized`: by this very call. Who did must finalize it. */
  load: { input: { readonly module: string }; output: { readonly initialized: boolean } }
  connect: { input: { readonly choice: TokenChoice }; output: Connected }
  login: { input: { readonly pin: string }; output: object }
  probe: { input: object; output: Abilities }
  inventory: {
    /** Handles (hex) that need not be read again. */
    input: { readonly known: readonly string[] }
    output: { readonly present: readonly string[]; readonly fresh: readonly ObjectFacts[] }
  }
  generate: { input: Generation; output: { readonly claimed: boolean } }
  sealGcm: {
    input: {
      readonly key: ObjectRef
      readonly gcm: GcmParameters
      readonly aad: Uint8Array
      readonly prefix: Uint8Array
      readonly plaintext: Plaintext
    }
    output: { readonly iv: Uint8Array; readonly sealed: Uint8Array; readonly random?: Uint8Array }
  }
  openGcm: {
    input: {
      readonly key: ObjectRef
      readonly gcm: GcmParameters
      readonly aad: Uint8Array
      readonly iv: Uint8Array
      readonly sealed: Uint8Array
    }
    output: Opened
  }
  sealOaep: {
    /** Under the better hash that the token has. */
    input: {
      readonly key: ObjectRef
      readonly publicKey: ObjectRef
      readonly size: number
      readonly prefix: Uint8Array
      readonly plaintext: Plaintext
    }
    output: { readonly hash: OaepHash; readonly block: Uint8Array; readonly random?: Uint8Array }
  }
  openOaep: {
    input: {
      readonly key: ObjectRef
      readonly publicKey: ObjectRef | undefined
      readonly size: number
      readonly hash: OaepHash
      readonly block: Uint8Array
    }
    output: Opened
  }
  sign: {
    input: { readonly key: ObjectRef; readonly scheme: SignScheme; readonly input: Uint8Array; readonly size: number }
    output: { readonly signature: Uint8Array }
  }
  wrap: {
    input: { readonly key: ObjectRef; readonly mechanism: number }
    /** `kek`: what it is wrapped under, which the asker wipes. */
    output: { readonly wrapped: Uint8Array; readonly kek: Uint8Array }
  }
  value: { input: { readonly key: ObjectRef }; output: { readonly value: Uint8Array } }
  /** Closes the session; with `finalize` the user is logged out and the module finalized. The thread ends. */
  end: { input: { readonly finalize: boolean }; output: object }
}

/** `opened: false` only where the same key opened another ciphertext in between: it is the ciphertext, not the token. */
export type Opened =
  | { readonly opened: true; readonly plaintext: Uint8Array }
  | { readonly opened: false; readonly plaintext?: never }

export type Job = keyof Jobs

export interface Order<J extends Job = Job> {
  readonly id: number
  readonly job: J
  readonly input: Jobs[J]['input']
}

/** Why a job failed: a PKCS#11 call did, or the job has its own words. */
export type Failure =
  | { readonly fault: Fault; readonly during: string }
  | { readonly code: KmsErrorCode; readonly message: string; readonly unsettled?: true }
  /** An object is not there any more, or another one in its place. */
  | { readonly stale: true }

export type Reply = { readonly id: number; readonly ms: number } & (
  | { readonly output: Jobs[Job]['output'] }
  | { readonly failure: Failure }
)
