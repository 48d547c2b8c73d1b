/**
 * The chunks of one message, as its bytes come: whatever lengths they come in, the chunks are the same. A full chunk is held back
 * until it is known whether it is the last, so one chunk is all that is held.
 */
import { tagLength } from '../../crypto/aead.ts'
import { wipe } from '../../crypto/bytes.ts'
import type { StreamKey } from '../../crypto/stream.ts'
import type { Out } from './streams.ts'

/** One call at a time, until `destroy`; then: `CLOSED`. */
export interface Chunks {
  write(bytes: Uint8Array, out: Out): Promise<void>
  end(out: Out): Promise<void>
  destroy(): void
}

/** Seals what comes; `count` hears how many bytes. `INVALID_INPUT` for a message of more than 2³² chunks. */
export function chunkSealer(key: StreamKey, count: (bytes: number) => void): Chunks {
  const { chunkLength } = key
  // Plaintext gathers where its ciphertext is to stand.
  let chunk = nothing
  let filled = 0
  let index = 0

  function give(isLast: boolean, out: Out): void {
    const sealed = filled < chunkLength ? chunk.slice(0, filled + tagLength) : chunk
    if (sealed !== chunk) wipe(chunk)
    chunk = nothing
    key.sealChunk({ index, isLast }, sealed.subarray(0, filled), sealed, 0)
    count(filled)
    index += 1
    filled = 0
    out.give(sealed)
  }

  return {
    async write(plaintext, out) {
      for (let at = 0; at < plaintext.length; ) {
        if (filled === chunkLength) {
          const room = out.room()
          if (room !== undefined) await room
          give(false, out)
        }
        if (chunk === nothing) chunk = new Uint8Array(chunkLength + tagLength)
        const part = plaintext.subarray(at, at + chunkLength - filled)
        chunk.set(part, filled)
        filled += part.length
        at += part.length
      }
    },
    async end(out) {
      const room = out.room()
      if (room !== undefined) await room
      if (chunk === nothing) chunk = new Uint8Array(tagLength)
      give(true, out)
    },
    destroy() {
      wipe(chunk)
      key.destroy()
    },
  }
}

export interface ChunkOpenerOptions {
  /** Hears how many bytes were opened. */
  readonly count: (bytes: number) => void
  /** Throws, for what is not authentic. */
  readonly refuse: () => Promise<never>
}

/** Opens what comes, each chunk once it is authentic. */
export function chunkOpener(key: StreamKey, { count, refuse }: ChunkOpenerOptions): Chunks {
  const step = key.chunkLength + tagLength
  const chunk = new Uint8Array(step)
  let filled = 0
  let index = 0

  async function give(isLast: boolean, out: Out): Promise<void> {
    const room = out.room()
    if (room !== undefined) await room
    const plaintext = key.openChunk({ index, isLast }, chunk.subarray(0, filled))
    if (plaintext === undefined) return refuse()
    count(plaintext.length)
    index += 1
    filled = 0
    if (plaintext.length > 0) out.give(plaintext)
  }

  return {
    async write(sealed, out) {
      for (let at = 0; at < sealed.length; ) {
        if (filled === step) await give(false, out)
        const part = sealed.subarray(at, at + step - filled)
        chunk.set(part, filled)
        filled += part.length
        at += part.length
      }
    },
    end: (out) => give(true, out),
    destroy: key.destroy,
  }
}

const nothing = new Uint8Array(0)
