/** Who asks, carried by the request, beside bound by `with()`, and beside nobody. */
import { requestContext } from '../../src/integrations/context/carrier.ts'
import { kibibyte } from './bare.ts'
import { remembered } from './clients.ts'
import type { Contest, Figure } from './figure.ts'
import { browser } from './requests.ts'

const key = 'key'
const calls = 200
const plaintext = kibibyte

export const contextFigures: readonly Figure[] = [
  { name: 'context', text: "encrypt, a request's first: carried ÷ with()", of: 'time', open: first },
  { name: 'context-further', text: "encrypt, a request's others: carried ÷ bound", of: 'time', open: further },
  { name: 'context-nobody', text: 'encrypt, carried ÷ by nobody', of: 'time', open: nobody },
]

async function first(): Promise<Contest> {
  const [carried, bound] = await Promise.all([
    remembered('aes256-gcm96', { context: requestContext }),
    remembered('aes256-gcm96'),
  ])
  return {
    reference: bound.side(calls, () => bound.kms.with(browser).encrypt({ key, plaintext })),
    ours: carried.side(calls, () => requestContext.run(browser, () => carried.kms.encrypt({ key, plaintext }))),
  }
}

async function further(): Promise<Contest> {
  const [carried, bound] = await Promise.all([
    remembered('aes256-gcm96', { context: requestContext }),
    remembered('aes256-gcm96'),
  ])
  const kms = bound.kms.with(browser)
  return {
    reference: bound.side(calls, () => kms.encrypt({ key, plaintext })),
    ours: within(carried.side(calls, () => carried.kms.encrypt({ key, plaintext }))),
  }
}

async function nobody(): Promise<Contest> {
  const [carried, nobodys] = await Promise.all([
    remembered('aes256-gcm96', { context: requestContext }),
    remembered('aes256-gcm96'),
  ])
  return {
    reference: nobodys.side(calls, () => nobodys.kms.encrypt({ key, plaintext })),
    ours: within(carried.side(calls, () => carried.kms.encrypt({ key, plaintext }))),
  }
}

/** All calls of a run in one request. */
function within(side: Contest['ours']): Contest['ours'] {
  return { ...side, run: () => requestContext.run(browser, side.run) }
}
