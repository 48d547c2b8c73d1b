/**
 * The chunks of one message, as its bytes come: whatever lengths they come in, the chunks are the same. A full chunk is never the
 * last: it is done with at once, and of less than one chunk a copy is held.
 */
import { tagLength } from '../../crypto/aead.ts'
import { wipe } from '../../crypto/bytes.ts'
import type { ChunkPlace, StreamKey } from '../../crypto/stream.ts'
import { isPromise } from '../../model/promise.ts'
import type { Out } from './streams.ts'

/** One call at a time, until `destroy`; then: `CLOSED`. */
export interface Chunks {
  write(bytes: Uint8Array, out: Out): Promise<void>
  end(out: Out): Promise<void>
  destroy(): void
}

/** Seals what comes; `count` hears how many bytes. `INVALID_INPUT` for a message of more than 2³² chunks. */
export function chunkSealer(key: StreamKey, count: (bytes: number) => void): Chunks {
  return chunks({
    length: key.chunkLength,
    done(plaintext, place) {
      const sealed = key.sealPieces(place, plaintext)
      count(plaintext.length)
      return sealed
    },
    destroy: key.destroy,
  })
}

/** Opens what comes, each chunk once it is authentic; `refuse` throws, for one that is not. */
export function chunkOpener(key: StreamKey, count: (bytes: number) => void, refuse: () => Promise<never>): Chunks {
  return chunks({
    length: key.chunkLength + tagLength,
    done(sealed, place) {
      const plaintext = key.openChunk(place, sealed)
      if (plaintext === undefined) return refuse()
      count(plaintext.length)
      return [plaintext]
    },
    destroy: key.destroy,
  })
}

interface Work {
  /** Of a full chunk. */
  readonly length: number
  readonly done: (chunk: Uint8Array, place: ChunkPlace) => readonly Uint8Array[] | Promise<readonly Uint8Array[]>
  readonly destroy: () => void
}

function chunks({ length, done, destroy }: Work): Chunks {
  const part = new Uint8Array(length)
  let filled = 0
  let index = 0

  async function give(chunk: Uint8Array, isLast: boolean, out: Out): Promise<void> {
    const room = out.room()
    if (room !== undefined) await room
    const made = done(chunk, { index, isLast })
    const pieces = isPromise(made) ? await made : made
    index += 1
    for (const bytes of pieces) if (bytes.length > 0) out.give(bytes)
  }

  return {
    async write(bytes, out) {
      let at = 0
      while (filled + bytes.length - at >= length) {
        // Whole in what came: no copy.
        const chunk = filled === 0 ? bytes.subarray(at, at + length) : part
        const taken = length - filled
        if (chunk === part) part.set(bytes.subarray(at, at + taken), filled)
        filled = 0
        at += taken
        await give(chunk, false, out)
      }
      part.set(bytes.subarray(at), filled)
      filled += bytes.length - at
    },
    end: (out) => give(part.subarray(0, filled), true, out),
    destroy() {
      wipe(part)
      destroy()
    },
  }
}
