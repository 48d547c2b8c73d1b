/** @node Anchors of the trail: its checkpoints are pinned elsewhere and cosigned by witnesses, beside its own work. */
import { join } from 'node:path'
import type { Engine } from '../../crypto/engine.ts'
import type { Clock } from '../../model/clock.ts'
import { KmsError } from '../../model/errors.ts'
import { type FileSystem, statusOf } from '../../storage/filesystem.ts'
import type { Layout } from '../layout.ts'
import type { TrailOptions } from '../trail.ts'
import { openHashes } from '../tree/hashes.ts'
import { consistencyProof } from '../tree/proofs.ts'
import { settledWithin } from '../writing/bounded.ts'
import { problemOf } from '../writing/problem.ts'
import { readPin, writePin } from './pin.ts'
import { type WitnessClient, witnessClient } from './witness.ts'
import { parseSubmission, type WitnessHealth } from './witness-turns.ts'

export interface Anchoring {
  /** A checkpoint was published. Never waits, never fails. */
  published(note: string): void
  /** Keeps the checkpoint published last, and resolves to it with the cosignatures it has. Errors: as writePin. */
  pin(): Promise<string>
  /** Why the last pin was not kept. */
  readonly problem: string | undefined
  witnesses(): readonly WitnessHealth[]
  /** Pins and has cosigned what was published last, and waits some seconds for it. Errors: as {@link pin}. */
  close(): Promise<void>
}

export interface AnchoringOptions {
  readonly fs: FileSystem
  readonly engine: Engine
  readonly layout: Layout
  readonly clock: Clock
  readonly pin: TrailOptions['pin']
  readonly witnesses: NonNullable<TrailOptions['witnesses']>
  /** The checkpoint that is published now. */
  readonly published: string
  /** Throws when this process may no longer write. */
  readonly check: () => void
}

const pinEveryMs = 3_600_000
const witnessEveryMs = 60_000
const longestCloseMs = 3000

/** The newest checkpoint that a witness has cosigned: a pin, beside the trail. */
export function witnessedFile(layout: Layout): string {
  return join(layout.folder, 'witnessed')
}

/** Errors: `INVALID_INPUT` for an option that cannot be, `PROVIDER_UNAVAILABLE` (disk). */
export async function openAnchoring(options: AnchoringOptions): Promise<Anchoring> {
  const { fs, engine, layout, clock, witnesses, check } = options
  const path = witnessedFile(layout)
  let newest = options.published
  let cosigned = statusOf(fs, path) === undefined ? undefined : (await readPin(fs, path)).note
  let problem: string | undefined

  const keep = keeperOf(fs, options.pin)
  let pinned = newest
  let pinning: Promise<unknown> = Promise.resolve()
  const pinEvery = everySoOften(
    clock,
    typeof options.pin === 'object' ? (options.pin.everyMs ?? pinEveryMs) : pinEveryMs,
  )

  const client: WitnessClient | undefined =
    witnesses.length === 0
      ? undefined
      : witnessClient({
          engine,
          witnesses,
          clock,
          prove: async (from, to) =>
            consistencyProof(engine, await openHashes({ fs, engine, layout, size: to }), { from, to }),
          async onCosigned(note) {
            check()
            await writePin(fs, path, note)
            cosigned = note
          },
          ...(cosigned !== undefined && { witnessed: cosigned }),
        })
  const askEvery = everySoOften(clock, witnessEveryMs)

  function pin(): Promise<string> {
    const result = pinning.then(async () => {
      const note = withCosignatures(newest, cosigned)
      try {
        await keep?.(note)
      } catch (error) {
        problem = `the checkpoint was not pinned: ${problemOf(error)}`
        throw error
      }
      problem = undefined
      pinned = newest
      return note
    })
    pinning = result.catch(ignore)
    return result
  }

  function ask(): void {
    client?.submit(newest, sizeOf(newest))
  }

  return {
    published(note) {
      newest = note
      if (client !== undefined && sizeOf(note) > 0n) askEvery.soon(ask)
      if (keep !== undefined) pinEvery.later(() => void (newest !== pinned && pin().catch(ignore)))
    },
    pin,
    get problem() {
      return problem
    },
    witnesses: () => client?.health() ?? [],
    async close() {
      askEvery.stop()
      pinEvery.stop()
      if (sizeOf(newest) > 0n) ask()
      const idle = client?.idle() ?? Promise.resolve()
      const kept = keep === undefined || newest === pinned ? pinning : pin()
      await settledWithin(clock, longestCloseMs, idle)
      client?.close()
      if (!(await settledWithin(clock, longestCloseMs, kept)))
        throw new KmsError('PROVIDER_UNAVAILABLE', `the checkpoint was not pinned within ${longestCloseMs} ms`)
      await kept
    },
  }
}

function keeperOf(fs: FileSystem, pin: TrailOptions['pin']): ((note: string) => Promise<void>) | undefined {
  if (pin === undefined) return undefined
  if (typeof pin === 'object') return (note) => writePin(fs, pin.file, note)
  return async (note) => {
    try {
      await pin(note)
    } catch (error) {
      if (error instanceof KmsError) throw error
      throw new KmsError('PROVIDER_UNAVAILABLE', 'the function given as pin failed', { cause: error })
    }
  }
}

/** `note`, or `cosigned` where it is the same checkpoint. */
export function withCosignatures(note: string, cosigned: string | undefined): string {
  const text = note.slice(0, note.indexOf('\n\n') + 2)
  return cosigned?.startsWith(text) ? cosigned : note
}

function sizeOf(note: string): bigint {
  return parseSubmission(note)?.size ?? 0n
}

interface EverySoOften {
  /** Runs `run` at once if the last time was long enough ago, else when it will be. */
  soon(run: () => void): void
  /** Runs `run` when the time is up that begins now, or has begun. */
  later(run: () => void): void
  stop(): void
}

function everySoOften(clock: Clock, everyMs: number): EverySoOften {
  let notBefore = Number.NEGATIVE_INFINITY
  let cancel: (() => void) | undefined

  function plan(ms: number, run: () => void): void {
    cancel ??= clock.after(ms, () => {
      cancel = undefined
      notBefore = clock.monotonic() + everyMs
      run()
    })
  }

  return {
    soon(run) {
      if (cancel !== undefined) return
      const wait = notBefore - clock.monotonic()
      if (wait > 0) return plan(wait, run)
      notBefore = clock.monotonic() + everyMs
      run()
    },
    later: (run) => plan(everyMs, run),
    stop: () => cancel?.(),
  }
}

/** For a failure that `problem` tells. */
function ignore(): void {}
