/**
 * Calls of one kind for one key that arrive together become one request: transit's `batch_input`. A call that is alone stays a
 * plain request, and waits for no more than the end of the microtask. Each has its own outcome.
 */
import type { KmsErrorCode } from '../../model/errors.ts'
import { host, type Signal } from '../../model/host.ts'
import { type Answer, type Fields, fieldsOf, isSuccess, single } from './answer.ts'
import { type Failed, failureOf, isKnown, malformed } from './failure.ts'
import { newTrace, type Trace } from './trace.ts'
import type { Transport } from './transport.ts'
import { aborted } from './wait.ts'

export interface Item {
  readonly verb: 'encrypt' | 'decrypt'
  /** Of the key. */
  readonly name: string
  /** Its request, alone or as an item. */
  readonly fields: Fields
  /** About as many bytes as it adds to a request. */
  readonly size: number
  /** Of a ciphertext to open. */
  readonly opens?: { readonly version: number }
}

/** What an item was answered, and the requests that it took part in. */
export interface ItemAnswer {
  readonly data: Fields
  readonly trace: Trace
}

export type Join = (item: Item, signal: Signal) => Promise<ItemAnswer>

interface Waiting {
  readonly item: Item
  readonly resolve: (answer: ItemAnswer) => void
  readonly reject: (error: unknown) => void
  /** Its caller has gone away. */
  gone: boolean
  /** Told then. */
  left: () => void
}

/** Of one request: what a server takes without complaint, and what one lost connection costs. */
const most = { items: 256, bytes: 1024 * 1024 }
/** What one item of a batch may be to blame for. */
const ofItems: readonly KmsErrorCode[] = ['INVALID_CIPHERTEXT', 'INVALID_INPUT', 'VERSION_NOT_FOUND']

export function batches({ ask }: Transport): Join {
  const gathering = new Map<string, Waiting[]>()

  function gather(waiting: Waiting): void {
    const { verb, name } = waiting.item
    const kind = `${verb}/${name}`
    const group = gathering.get(kind)
    if (group !== undefined) {
      group.push(waiting)
      return
    }
    const all = [waiting]
    gathering.set(kind, all)
    host.queueMicrotask(() => {
      gathering.delete(kind)
      for (const part of partsOf(all)) void send(part, newTrace())
    })
  }

  /** Settles each of `group`, in one request or more. Never rejects. */
  async function send(group: readonly Waiting[], trace: Trace): Promise<void> {
    const live = group.filter(({ gone }) => !gone)
    const [first] = live
    if (first === undefined) return
    const stop = stopWhenAllLeft(live)
    const { verb, name } = first.item
    const body = live.length === 1 ? first.item.fields : { batch_input: live.map(({ item }) => item.fields) }
    try {
      const answer = await ask({ method: 'POST', path: `${verb}/${name}`, body }, { trace, signal: stop })
      await (live.length === 1 ? alone(first, answer, trace) : together(live, answer, trace))
    } catch (error) {
      for (const { reject } of live) reject(error)
    }
  }

  async function alone({ item, resolve, reject }: Waiting, answer: Answer, trace: Trace): Promise<void> {
    if (!isSuccess(answer)) reject(failureOf(answer, failedOf(item, trace)))
    else if (answer.data === undefined) reject(malformed('it holds no data', trace))
    else resolve({ data: answer.data, trace: { ...trace } })
  }

  async function together(live: readonly Waiting[], answer: Answer, trace: Trace): Promise<void> {
    const results = answer.data?.['batch_results']
    // Where an item failed, newer servers answer 400 or 500 with all results, older ones 200.
    if (Array.isArray(results) && (isSuccess(answer) || answer.status === 400 || answer.status === 500)) {
      if (results.length !== live.length) throw malformed('it has not as many results as there were items', trace)
      await Promise.all(live.map((waiting, at) => one(waiting, results[at], { answer, trace })))
      return
    }
    if (isSuccess(answer)) throw malformed('it has no results', trace)
    const [first] = live
    const failure = failureOf(answer, first === undefined ? { trace } : failedOf(first.item, trace))
    if (!ofItems.includes(failure.code)) throw failure
    // Older servers fail a batch as a whole for one item: it ends up alone.
    const middle = live.length >> 1
    await Promise.all([live.slice(0, middle), live.slice(middle)].map((half) => send(half, { ...trace })))
  }

  async function one(waiting: Waiting, result: unknown, { answer, trace }: Results): Promise<void> {
    const { item, resolve, reject } = waiting
    const data = fieldsOf(result)
    const error = data?.['error']
    if (data === undefined || !(error === undefined || typeof error === 'string'))
      return reject(malformed('a result is none', trace))
    if (error === undefined || error === '') return resolve({ data, trace: { ...trace } })
    const status = isSuccess(answer) ? 200 : answer.status
    const refusal: Answer = { status, errors: single(error), warnings: [] }
    const failed = failedOf(item, trace)
    if (isKnown(refusal, failed)) return reject(failureOf(refusal, failed))
    // The status is that of all of them: asked alone, it has its own.
    return send([waiting], { ...trace })
  }

  return (item, signal) =>
    new Promise((resolve, reject) => {
      const done = () => signal.removeEventListener('abort', leave)
      const waiting: Waiting = {
        item,
        resolve(answer) {
          done()
          resolve(answer)
        },
        reject(error) {
          done()
          reject(error)
        },
        gone: false,
        left: ignore,
      }
      function leave() {
        waiting.gone = true
        waiting.reject(aborted())
        waiting.left()
      }
      if (signal.aborted) return reject(aborted())
      signal.addEventListener('abort', leave, { once: true })
      gather(waiting)
    })
}

interface Results {
  readonly answer: Answer
  readonly trace: Trace
}

/** Aborts the request once nobody waits for it: one caller's going does not end it for the others. */
function stopWhenAllLeft(live: readonly Waiting[]): Signal {
  const stop = new host.AbortController()
  for (const waiting of live) {
    waiting.left = () => {
      if (live.every(({ gone }) => gone)) stop.abort()
    }
  }
  return stop.signal
}

function failedOf({ opens, name }: Item, trace: Trace): Failed {
  return { key: name, trace, ...(opens !== undefined && { opens }) }
}

function partsOf(all: readonly Waiting[]): readonly (readonly Waiting[])[] {
  const parts: Waiting[][] = []
  let bytes = 0
  for (const waiting of all) {
    const last = parts.at(-1)
    bytes += waiting.item.size
    if (last === undefined || last.length >= most.items || bytes > most.bytes) {
      parts.push([waiting])
      bytes = waiting.item.size
    } else last.push(waiting)
  }
  return parts
}

function ignore(): void {}
