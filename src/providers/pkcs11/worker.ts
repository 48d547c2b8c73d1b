/** @node The thread in which a token's calls block: takes one order after another, and answers each. */
import { parentPort } from 'node:worker_threads'
import { evidenceOf, KmsError } from '../../model/errors.ts'
import { sealGcm, sealOaep, sign } from './crypt.ts'
import { faultOf } from './cryptoki.ts'
import { isSessionGone } from './failure.ts'
import { generate } from './generate.ts'
import { value, wrap } from './leaving.ts'
import { inventory, stale } from './objects.ts'
import { openGcm, openOaep } from './opening.ts'
import { probe } from './probe.ts'
import type { Failure, Job, Jobs, Order, Reply } from './protocol.ts'
import { connector } from './session.ts'

const token = connector()

const jobs: { readonly [J in Job]: (input: Jobs[J]['input']) => Jobs[J]['output'] } = {
  load: ({ module }) => ({ initialized: token.load(module) }),
  connect: ({ choice }) => token.connect(choice),
  login({ pin }) {
    token.login(pin)
    return {}
  },
  probe: () => probe(token.current()),
  inventory: (input) => inventory(token.current(), input),
  generate: (input) => generate(token.current(), input),
  sealGcm: (input) => sealGcm(token.current(), input),
  openGcm: (input) => openGcm(token.current(), input),
  sealOaep: (input) => sealOaep(token.current(), input),
  openOaep: (input) => openOaep(token.current(), input),
  sign: (input) => sign(token.current(), input),
  wrap: (input) => wrap(token.current(), input),
  value: (input) => value(token.current(), input),
  end({ finalize }) {
    token.end(finalize)
    return {}
  },
}

const port = parentPort
port?.on('message', (order: Order) => {
  const begun = performance.now()
  let reply: Reply
  try {
    const output = run(order)
    reply = { id: order.id, ms: performance.now() - begun, output }
  } catch (error) {
    const failure = failureOf(error)
    clean(order.job, failure)
    reply = { id: order.id, ms: performance.now() - begun, failure }
  }
  port.postMessage(reply, 'output' in reply ? ownBytes(reply.output) : [])
  if (order.job === 'end') port.close()
})

function run<J extends Job>({ job, input }: Order<J>): Jobs[J]['output'] {
  return jobs[job](input)
}

/** What a failed call had begun must not be in the way of the next. Where the token is gone, the asker connects anew. */
function clean(job: Job, failure: Failure): void {
  if (isSessionGone(failure)) token.forget()
  if (job === 'load' || job === 'connect' || job === 'login' || job === 'end') return
  try {
    token.renew()
  } catch (error) {
    if (faultOf(error) === undefined && !(error instanceof KmsError)) throw error
  }
}

/** Nothing but codes and names, and our own words: what a module writes may quote what it was given. */
function failureOf(error: unknown): Failure {
  if (error === stale) return { stale: true }
  if (error instanceof KmsError) {
    const unsettled = evidenceOf(error).unsettled === true
    return { code: error.code, message: error.message, ...(unsettled && { unsettled: true }) }
  }
  const fault = faultOf(error)
  if (fault === undefined)
    return { code: 'INTERNAL', message: 'a call to the PKCS#11 module failed otherwise than by a return value' }
  const method = (error as { readonly method?: unknown }).method
  return { fault, during: typeof method === 'string' && /^C_[A-Za-z]{1,40}$/.test(method) ? method : 'a call' }
}

/** Handed over instead of copied: secrets then lie in one place only. Those of the token's pool are copied. */
function ownBytes(output: object): ArrayBuffer[] {
  return Object.values(output).flatMap((field: unknown) =>
    field instanceof Uint8Array && field.buffer instanceof ArrayBuffer && field.byteLength === field.buffer.byteLength
      ? [field.buffer]
      : [],
  )
}
