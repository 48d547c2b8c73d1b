/**
 * A pair of Web Streams around something that takes bytes and gives bytes. A `TransformStream` would do but for one thing: what it
 * gives for one chunk it must give at once, so a chunk of a gigabyte would be held twice. Here each piece waits until it is wanted.
 */
import { KmsError } from '../../model/errors.ts'
import type { Signal } from '../../model/host.ts'
import { viewOf } from '../../model/input.ts'

/** A `TransformStream` of the host's types, where it has any: `readable` and `writable`, for `pipeThrough`. Chunks are `Uint8Array`s. */
export type ByteTransform = typeof globalThis extends { readonly TransformStream: { readonly prototype: infer T } }
  ? T
  : { readonly readable: object; readonly writable: object }

/** What stands between the two. One call at a time. */
export interface Machine {
  /** Takes bytes, which are only read until it is done. */
  write(bytes: Uint8Array, out: Out): Promise<void>
  /** There are no more. */
  end(out: Out): Promise<void>
  /** Lets go of its keys, whatever it is doing; called once, however the stream ends. `reason`: none at its proper end. */
  destroy(reason: unknown): void
}

export interface Out {
  /** What to wait for before `give`: undefined while there is room. Rejects when the stream has ended meanwhile. */
  room(): Promise<void> | undefined
  /** The bytes are the reader's from then on. Throws when the stream has ended. */
  give(bytes: Uint8Array): void
}

interface Controller {
  readonly desiredSize: number | null
  enqueue(bytes: Uint8Array): void
  close(): void
  error(reason: unknown): void
}

interface InputController {
  /** Aborted at once, where `abort` of the sink waits for the write that is under way. */
  readonly signal?: Signal & { readonly reason: unknown }
  error(reason: unknown): void
}

interface Streams {
  readonly ReadableStream: new (
    source: { start(controller: Controller): void; pull(): void; cancel(reason: unknown): void },
    strategy: { readonly highWaterMark: number },
  ) => object
  readonly WritableStream: new (
    sink: {
      start(controller: InputController): void
      write(chunk: unknown): Promise<void>
      close(): Promise<void>
      abort(reason: unknown): void
    },
    strategy: { readonly highWaterMark: number },
  ) => object
}

// ES2023's library types `globalThis` without them; every supported runtime has them.
const host = globalThis as unknown as Streams

export interface ByteStreams {
  readonly pair: ByteTransform
  /** Ends both sides with an error. */
  fail(error: unknown): void
}

/** Both streams around `machine`. What it throws ends both with that error. */
export function byteStreams(machine: Machine): ByteStreams {
  let output: Controller | undefined
  let input: InputController | undefined
  let wanted: (() => void) | undefined
  let over: { readonly reason: unknown } | undefined

  const readable = new host.ReadableStream(
    {
      start: (controller) => {
        output = controller
      },
      pull: goOn,
      cancel(reason) {
        finish(reason)
        input?.error(reason)
      },
    },
    { highWaterMark: 1 },
  )
  const writable = new host.WritableStream(
    {
      start: (controller) => {
        input = controller
        const { signal } = controller
        // The writable side is about to fail by itself, and must not be made to from within.
        signal?.addEventListener('abort', () => failOutput(signal.reason), { once: true })
      },
      write: (chunk) => guarded(() => written(bytesOf('chunk', chunk))),
      close: () =>
        guarded(async () => {
          await machine.end({ room, give })
          finish(undefined)
          output?.close()
        }),
      abort: fail,
    },
    { highWaterMark: 1 },
  )
  // Both are of the host's own making.
  return { pair: { readable, writable } as ByteTransform, fail }

  function room(): Promise<void> | undefined {
    if (over !== undefined || (output?.desiredSize ?? 0) > 0) return undefined
    return new Promise((resolve, reject) => {
      wanted = () => (over === undefined ? resolve() : reject(over.reason))
    })
  }

  function give(bytes: Uint8Array): void {
    if (over !== undefined) throw over.reason
    output?.enqueue(bytes)
  }

  function goOn(): void {
    const next = wanted
    wanted = undefined
    next?.()
  }

  async function written(bytes: Uint8Array): Promise<void> {
    const { length } = bytes
    try {
      await machine.write(bytes, { room, give })
    } catch (error) {
      // Of bytes that are gone, whatever it met is only that.
      throw bytes.length === length ? error : bytesGone('chunk')
    }
    if (bytes.length !== length) throw bytesGone('chunk')
  }

  async function guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      // Of a stream that has ended meanwhile, whatever it met is only that.
      const reason = over === undefined ? error : over.reason
      fail(reason)
      throw reason
    }
  }

  function fail(reason: unknown): void {
    if (over !== undefined) return
    failOutput(reason)
    input?.error(reason)
  }

  function failOutput(reason: unknown): void {
    if (over !== undefined) return
    finish(reason)
    output?.error(reason)
  }

  /** Once: the machine forgets its keys, and who waits for room waits no more. */
  function finish(reason: unknown): void {
    if (over !== undefined) return
    over = { reason }
    machine.destroy(reason)
    goOn()
  }
}

/** Why bytes are not what they were: their buffer was transferred or shrunk before we were done with it. */
export function bytesGone(name: string): KmsError {
  return new KmsError('INVALID_INPUT', `'${name}' must stay as it is until the call is done: its buffer is gone`)
}

/** A plain view of the caller's bytes; `INVALID_INPUT` for what are none. */
export function bytesOf(name: string, value: unknown): Uint8Array {
  return viewOf(name, value, 0, Number.MAX_SAFE_INTEGER)
}
