/** Cosignatures v1 (c2sp.org/tlog-cosignature, Ed25519): what a witness says of a checkpoint. */
import { concat, utf8 } from '../../crypto/bytes.ts'
import { ed25519Verify } from '../../crypto/ed25519.ts'
import type { Engine } from '../../crypto/engine.ts'
import { keyTypes, madeBy, parseNote, parseVkey, type SignatureLine } from '../note.ts'

/** What checks notes against one witness's key. */
export interface CosignatureVerifier {
  readonly name: string
  readonly vkey: string
  /** Undefined unless the witness cosigned the note's text. Signatures by others, the log's included, are not looked at. */
  open(note: string): Cosignature | undefined
}

/** A witness saw that this checkpoint, of all it saw of the log, was the largest and held all before it. */
export interface Cosignature {
  /** When, by the witness's clock: milliseconds since the epoch, in whole seconds. The newest, if it said so more than once. */
  readonly time: number
  /** The line that says so. */
  readonly line: SignatureLine
}

/** Errors: `INVALID_INPUT` for anything but a well-formed verification key of type 4. */
export function cosignatureVerifier(engine: Engine, vkey: string): CosignatureVerifier {
  const { name, keyHash, publicKey } = parseVkey(engine, vkey, keyTypes.cosignature)
  const verify = ed25519Verify(engine, publicKey)

  /** Milliseconds since the epoch; undefined for a signature that is none over `text`. */
  function timeOf(text: string, signature: Uint8Array): number | undefined {
    if (signature.length !== 72) return undefined
    const seconds = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0)
    if (seconds === 0n || seconds > lastSecond) return undefined
    const message = concat([utf8(`cosignature/v1\ntime ${seconds}\n`), utf8(text)])
    return verify(message, signature.subarray(8)) ? Number(seconds) * 1000 : undefined
  }

  return {
    name,
    vkey,
    open(note) {
      const parsed = parseNote(note)
      if (parsed === undefined) return undefined
      let newest: Cosignature | undefined
      for (const line of parsed.signatures.filter(madeBy(name, keyHash))) {
        const time = timeOf(parsed.text, line.signature)
        // A good and a bad signature by one key: the specification of notes asks to refuse the note.
        if (time === undefined) return undefined
        if (newest === undefined || time > newest.time) newest = { time, line }
      }
      return newest
    },
  }
}

/** No date of JavaScript's lies beyond (ECMA-262 §21.4.1.1). */
const lastSecond = 8_640_000_000_000n
