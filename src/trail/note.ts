/** Signed notes (c2sp.org/signed-note), with Ed25519 keys: of type 1 for logs; those of type 4 are cosignature.ts's. */
import { concat, equal, fromBase64, fromHex, hex, toBase64, utf8 } from '../crypto/bytes.ts'
import { ed25519Verify } from '../crypto/ed25519.ts'
import type { Engine } from '../crypto/engine.ts'
import { KmsError } from '../model/errors.ts'
import type { Signer } from '../model/signer.ts'

/** What signs notes in one name. */
export interface NoteSigner {
  /** `<name>+<key hash, hex>+<base64 of 01 ‖ public key>`. */
  readonly vkey: string
  /** The whole note over `text`, which must end in a newline. */
  sign(text: string): string
}

/** What checks notes against one verification key. */
export interface NoteVerifier {
  readonly name: string
  readonly vkey: string
  /** The text that the key signed, or why there is none. */
  open(note: string): OpenedNote
}

export type OpenedNote =
  | { readonly text: string }
  /** `unsigned`: a well-formed note without a signature of this key. */
  | { readonly problem: 'malformed' | 'unsigned' | 'bad-signature' }

/** What a key signs: the text itself, or a cosignature (c2sp.org/tlog-cosignature). */
export const keyTypes = { ed25519: 1, cosignature: 4 } as const

export type KeyType = (typeof keyTypes)[keyof typeof keyTypes]

/** `name` must be a {@link noteName}. Errors: `INVALID_INPUT` for another name or a public key not of 32 bytes. */
export function noteSigner(engine: Engine, name: string, signer: Signer): NoteSigner {
  const publicKey = asked(() => signer.publicKey)
  const keyHash = keyHashOf({ engine, name, type: keyTypes.ed25519, publicKey })
  const lead = `\n— ${name} `
  return {
    vkey: formatVkey(engine, name, publicKey),
    sign: (text) => `${text}${lead}${toBase64(concat([keyHash, asked(() => signer.sign(utf8(text)))]))}\n`,
  }
}

/** A signer may be a third party's, and fail as it likes. */
function asked<T>(ask: () => T): T {
  try {
    return ask()
  } catch (error) {
    if (error instanceof KmsError) throw error
    throw new KmsError('PROVIDER_UNAVAILABLE', 'the signer of the trail failed', { cause: error })
  }
}

/** The verification key by which a name and an Ed25519 public key (32 bytes) are handed to verifiers. */
export function formatVkey(engine: Engine, name: string, publicKey: Uint8Array): string {
  if (!noteName.test(name)) throw new KmsError('INVALID_INPUT', 'a key name holds no space, no plus sign, no control')
  if (publicKey.length !== 32) throw new KmsError('INVALID_INPUT', 'an Ed25519 public key has 32 bytes')
  return keyText(name, keyHashOf({ engine, name, type: keyTypes.ed25519, publicKey }), publicKey)
}

/** Errors: `INVALID_INPUT` for anything but a well-formed Ed25519 verification key. */
export function noteVerifier(engine: Engine, vkey: string): NoteVerifier {
  const { name, keyHash, publicKey } = parseVkey(engine, vkey, keyTypes.ed25519)
  const verify = ed25519Verify(engine, publicKey)
  return {
    name,
    vkey,
    open(note) {
      const parsed = parseNote(note)
      if (parsed === undefined) return { problem: 'malformed' }
      const ours = parsed.signatures.filter(madeBy(name, keyHash))
      if (ours.length === 0) return { problem: 'unsigned' }
      const message = utf8(parsed.text)
      // A good and a bad signature by one key: the specification asks to refuse the note.
      if (!ours.every((line) => verify(message, line.signature))) return { problem: 'bad-signature' }
      return { text: parsed.text }
    },
  }
}

/** What a key may be called: not empty, no white space, no plus sign; no control characters, which a note cannot hold. */
export const noteName: RegExp = /^[^\s+\p{Cc}\p{Cs}]{1,255}$/u

const privatePrefix = 'PRIVATE+KEY+'

/** The signing key of `seed` (RFC 8032, 32 bytes) as `PRIVATE+KEY+<name>+<key hash>+<base64 of 01 ‖ seed>`. */
export function formatSigningKey(
  engine: Engine,
  key: { readonly name: string; readonly seed: Uint8Array; readonly publicKey: Uint8Array },
): string {
  const { name, seed, publicKey } = key
  return privatePrefix + keyText(name, keyHashOf({ engine, name, type: keyTypes.ed25519, publicKey }), seed)
}

/** The seed in a {@link formatSigningKey}. Errors: `INVALID_INPUT`. */
export function parseSigningKey(
  engine: Engine,
  text: string,
  publicKeyOf: (seed: Uint8Array) => Uint8Array,
): Uint8Array {
  if (!text.startsWith(privatePrefix)) throw badKey(keyTypes.ed25519)
  const type = keyTypes.ed25519
  const { name, keyHash, key } = parseKeyText(text.slice(privatePrefix.length), type)
  if (!equal(keyHash, keyHashOf({ engine, name, type, publicKey: publicKeyOf(key) }))) throw badKey(type)
  return key
}

/** A verification key taken apart. */
export interface VerificationKey {
  readonly name: string
  /** Four bytes, by which a signature line names its key. */
  readonly keyHash: Uint8Array
  /** 32 bytes. */
  readonly publicKey: Uint8Array
}

/** Errors: `INVALID_INPUT` for anything but a well-formed verification key of `type`. */
export function parseVkey(engine: Engine, vkey: string, type: KeyType): VerificationKey {
  const { name, keyHash, key } = parseKeyText(vkey, type)
  if (!equal(keyHash, keyHashOf({ engine, name, type, publicKey: key }))) throw badKey(type)
  return { name, keyHash, publicKey: key }
}

function keyText(name: string, keyHash: Uint8Array, key: Uint8Array): string {
  return `${name}+${hex(keyHash)}+${toBase64(concat([Uint8Array.of(keyTypes.ed25519), key]))}`
}

function parseKeyText(text: string, type: KeyType): { name: string; keyHash: Uint8Array; key: Uint8Array } {
  // Base64 may hold plus signs, names may not.
  const [, name, hashText, keyBase64] = /^([^+]*)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/.exec(text) ?? []
  if (name === undefined || hashText === undefined || keyBase64 === undefined || !noteName.test(name))
    throw badKey(type)
  const typed = fromBase64(keyBase64)
  const keyHash = fromHex(hashText)
  if (typed === undefined || keyHash === undefined || typed.length !== 33 || typed[0] !== type) throw badKey(type)
  return { name, keyHash, key: typed.slice(1) }
}

function badKey(type: KeyType): KmsError {
  return new KmsError('INVALID_INPUT', `not ${keyKinds[type]}: expected <name>+<hash>+<base64>`)
}

const keyKinds: { readonly [T in KeyType]: string } = {
  1: 'an Ed25519 key of a signed note (type 1)',
  4: 'the key of a witness (cosignatures, type 4)',
}

interface KeyFacts {
  readonly engine: Engine
  readonly name: string
  readonly type: KeyType
  readonly publicKey: Uint8Array
}

/** SHA-256(name ‖ 0A ‖ type ‖ public key), the first four bytes. */
function keyHashOf({ engine, name, type, publicKey }: KeyFacts): Uint8Array {
  return engine.hash('sha256', concat([utf8(name), Uint8Array.of(0x0a, type), publicKey])).slice(0, 4)
}

/** A note taken apart; nothing of it is verified. */
export interface Note {
  /** What is signed, with its last newline. */
  readonly text: string
  readonly signatures: readonly SignatureLine[]
}

export interface SignatureLine {
  readonly name: string
  readonly keyHash: Uint8Array
  /** What follows the key hash. */
  readonly signature: Uint8Array
  /** The line as it stands, without its newline. */
  readonly line: string
}

/** Whether a signature line claims to be by that key. */
export function madeBy(name: string, keyHash: Uint8Array): (line: SignatureLine) => boolean {
  return (line) => line.name === name && equal(line.keyHash, keyHash)
}

const maxSignatures = 100

/** Undefined when it is malformed, or has more than 100 signature lines. */
export function parseNote(note: string): Note | undefined {
  // C0 controls other than the newline, and text that is not UTF-8, make a note malformed.
  if (/[\u0000-\u0009\u000b-\u001f\p{Cs}]/u.test(note) || !note.endsWith('\n')) return undefined
  const split = note.lastIndexOf('\n\n')
  if (split < 0) return undefined
  const lines = note.slice(split + 2, -1).split('\n', maxSignatures + 1)
  if (lines.length > maxSignatures) return undefined
  const signatures: SignatureLine[] = []
  for (const line of lines) {
    const signature = parseSignature(line)
    if (signature === undefined) return undefined
    signatures.push(signature)
  }
  return { text: note.slice(0, split + 1), signatures }
}

function parseSignature(line: string): SignatureLine | undefined {
  const [, name, base64] = /^— ([^ ]+) ([A-Za-z0-9+/=]+)$/.exec(line) ?? []
  if (name === undefined || base64 === undefined || !noteName.test(name)) return undefined
  const bytes = fromBase64(base64)
  if (bytes === undefined || bytes.length < 5) return undefined
  return { name, keyHash: bytes.slice(0, 4), signature: bytes.slice(4), line }
}

/** `note` with signatures that were made over the same text elsewhere; one of the same key takes the place of the other. */
export function mergeSignatures(note: Note, added: readonly SignatureLine[]): Note {
  const signatures = [...note.signatures]
  for (const line of added) {
    const at = signatures.findIndex(madeBy(line.name, line.keyHash))
    signatures[at < 0 ? signatures.length : at] = line
  }
  return { text: note.text, signatures }
}

/** The note as it is written. */
export function formatNote({ text, signatures }: Note): string {
  return `${text}\n${signatures.map(({ line }) => `${line}\n`).join('')}`
}
