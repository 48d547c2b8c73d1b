/**
 * @node The verification of a trail while it is read: hashing takes about as long as reading, so a long trail is verified in a
 * thread of its own.
 */
import { Worker, type WorkerOptions } from 'node:worker_threads'
import { KmsError } from '../model/errors.ts'
import { nodeFileSystem, statusOf } from '../storage/filesystem.ts'
import { findInstances, listSegments } from '../trail/layout.ts'
import type { VerifyProgress } from '../trail/verify/instance.ts'
import type { Verdict } from '../trail/verify/verdict.ts'
import { verifyTrail } from '../trail/verify/verify.ts'
import type { Answer, Order } from './verifying-thread.ts'

export interface Verifying {
  /** Undefined until it is known. */
  readonly verdict: Verdict | undefined
  /** Throws what it failed of, if it has. */
  check(): void
  /** Errors: as `verifyTrail`. */
  ended(): Promise<Verdict>
  /** Nobody asks any more. Resolves when it has ended. */
  stop(): Promise<void>
}

export interface VerifyingOptions extends Order {
  readonly onProgress: (progress: VerifyProgress) => void
  /** So many bytes of files are worth a thread. */
  readonly threadFrom?: number
}

/** What is verified sooner than a thread starts. */
const longBytes = 32 * 1024 * 1024

/** Resolves once a thread is at work, or all is verified. Errors: as `verifyTrail`. */
export async function startVerifying(verifying: VerifyingOptions): Promise<Verifying> {
  const { path, options, onProgress, threadFrom = longBytes } = verifying
  const isLong = (await bytesIn(path)) >= threadFrom
  const thread = isLong ? startThread({ path, options }, onProgress) : undefined
  let verdict: Verdict | undefined
  let failure: { readonly error: unknown } | undefined
  let isStopped = false

  async function verify(): Promise<Verdict> {
    const answer = await thread?.answer
    if (isStopped) throw new KmsError('ABORTED', 'the verification was stopped')
    // Without a thread, or one that came to its end, as in a bundle or where none is permitted: in this one.
    if (answer === undefined) return verifyTrail(path, { ...options, onProgress })
    if ('verdict' in answer) return answer.verdict
    throw new KmsError(answer.code, answer.message)
  }

  const ended = verify().then(
    (found) => {
      verdict = found
    },
    (error: unknown) => {
      failure = { error }
    },
  )

  function check(): void {
    if (failure !== undefined) throw failure.error
  }

  if (thread === undefined) await ended
  check()
  return {
    get verdict() {
      return verdict
    },
    check,
    async ended() {
      await ended
      check()
      if (verdict === undefined) throw new KmsError('INTERNAL', 'the verification came to no end')
      return verdict
    },
    async stop() {
      isStopped = true
      await thread?.stop()
      await ended
    },
  }
}

async function bytesIn(path: string): Promise<number> {
  const status = statusOf(nodeFileSystem, path)
  if (status?.kind === 'file') return status.size
  const instances = await findInstances(nodeFileSystem, path)
  const segments = await Promise.all(instances.map(({ layout }) => listSegments(nodeFileSystem, layout)))
  return segments.flat().reduce((sum, segment) => sum + (statusOf(nodeFileSystem, segment.path)?.size ?? 0), 0)
}

interface Thread {
  /** Undefined when it ended without one. */
  readonly answer: Promise<Exclude<Answer, VerifyProgress> | undefined>
  stop(): Promise<unknown>
}

/** Undefined where no thread is to be had. */
function startThread(order: Order, onProgress: (progress: VerifyProgress) => void): Thread | undefined {
  // Beside this file, in source and as built, where it needs none of the flags of the process.
  const isSource = import.meta.url.endsWith('.ts')
  const file = new URL(isSource ? './verifying-thread.ts' : './verifying-thread.js', import.meta.url)
  const worker = workerFor(file, { name: 'keytrail verify', workerData: order, ...(!isSource && { execArgv: [] }) })
  if (worker === undefined) return undefined
  const answer = new Promise<Exclude<Answer, VerifyProgress> | undefined>((resolve) => {
    worker.on('message', (told: Answer) => {
      if ('bytes' in told) onProgress(told)
      else resolve(told)
    })
    worker.on('messageerror', () => resolve(undefined))
    worker.on('error', () => resolve(undefined))
    worker.on('exit', () => resolve(undefined))
  })
  return { answer, stop: () => worker.terminate() }
}

function workerFor(file: URL, options: WorkerOptions): Worker | undefined {
  try {
    return new Worker(file, options)
  } catch {
    // None is permitted, or what was given cannot be handed over: verifying it here tells what is wrong with it.
    return undefined
  }
}
