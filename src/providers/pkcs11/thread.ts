/** @node One blocking thread as its asker sees it: an order at a time, an answer each, and the news of its end. */
import { Worker } from 'node:worker_threads'
import type { Job, Jobs, Order, Reply } from './protocol.ts'

export interface Thread {
  /** One at a time. Rejects never: a thread that ended answers `gone`. */
  ask<J extends Job>(job: J, input: Jobs[J]['input']): Promise<Reply | 'gone'>
  /** Whether a call is in the module now. */
  readonly busy: boolean
  /** Whether the process may end although a call is in the module: when nobody waits for it, nor for its session. */
  mayEnd(yes: boolean): void
  /** Once it has ended; with it nothing can be asked. */
  readonly gone: boolean
  /** What it ended of, if that was an error. */
  readonly error: unknown
}

/** The thread keeps a process alive only while something is asked of it. */
export function startThread(onGone: () => void): Thread {
  // Beside this file, in source and as built.
  const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js'
  const worker = new Worker(new URL(file, import.meta.url), { name: 'keytrail pkcs11', ...flags() })
  let waiting: { readonly id: number; settle(reply: Reply | 'gone'): void } | undefined
  let gone = false
  let asked = 0
  let failed: unknown

  function end(): void {
    if (gone) return
    gone = true
    settle('gone')
    onGone()
  }

  function settle(reply: Reply | 'gone'): void {
    const { settle } = waiting ?? {}
    waiting = undefined
    worker.unref()
    settle?.(reply)
  }

  worker.on('message', (reply: Reply) => {
    if (reply.id === waiting?.id) settle(reply)
  })
  // What cannot be read is no answer, and nobody knows in what state the session is.
  worker.on('messageerror', () => void worker.terminate())
  worker.on('error', (error) => {
    failed = error
    end()
  })
  worker.on('exit', end)
  worker.unref()

  return {
    ask(job, input) {
      if (gone) return Promise.resolve('gone')
      asked += 1
      const order: Order = { id: asked, job, input }
      return new Promise((resolve) => {
        waiting = { id: order.id, settle: resolve }
        worker.ref()
        worker.postMessage(order)
      })
    },
    get busy() {
      return waiting !== undefined
    },
    mayEnd(yes) {
      if (waiting === undefined || yes) worker.unref()
      else worker.ref()
    },
    get gone() {
      return gone
    },
    get error() {
      return failed
    },
  }
}

/** A thread takes the process's flags, but the one that is for programs given as text, which would forbid it its file. */
function flags(): { execArgv?: string[] } {
  const { execArgv } = process
  if (!execArgv.some((flag) => flag.startsWith('--input-type'))) return {}
  const asText = execArgv.findIndex((flag) => /^(?:-[ep]|-pe|--eval|--print)(?:=|$)/.test(flag))
  const kept = execArgv.filter((_flag, at) => asText < 0 || at < asText || at > asText + 1)
  return { execArgv: kept.filter((flag) => !flag.startsWith('--input-type')) }
}
