/** What an access policy costs beside the call that it allows. */
import { type AccessRule, accessPolicy } from '../../src/integrations/access/index.ts'
import type { KmsMiddleware } from '../../src/model/middleware.ts'
import { kibibyte } from './bare.ts'
import { remembered } from './clients.ts'
import type { Contest, Figure } from './figure.ts'

const calls = 200

export const accessFigures: readonly Figure[] = [
  {
    name: 'access',
    text: 'encrypt, access policy of 50 rules ÷ without one',
    of: 'time',
    open: () => against([]),
  },
  {
    name: 'access-alone',
    text: 'encrypt, access policy of 50 rules ÷ a middleware that does nothing',
    of: 'time',
    open: () => against([(_, next) => next()]),
  },
]

/** As many a service has: each may do its own, some nothing at night or from elsewhere; the one that allows comes late. */
function fiftyRules(): readonly AccessRule[] {
  const services = Array.from(
    { length: 40 },
    (_, number): AccessRule => ({
      id: `service-${number}`,
      effect: 'allow',
      actors: [`serviceAccount:service-${number}`, `serviceAccount:batch-${number}-*`],
      actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReadAccess'],
      keys: [`service-${number}`, number === 39 ? 'key' : `shared-${number % 5}-*`],
      ...(number % 4 === 3 && { networks: ['10.0.0.0/8', '2001:db8::/32'] }),
    }),
  )
  const denials = Array.from(
    { length: 10 },
    (_, number): AccessRule => ({
      id: `never-${number}`,
      effect: 'deny',
      actors: ['user:*', 'serviceAccount:*'],
      actions: ['kms:*'],
      keys: [`payroll-${number}`, `board-${number}-*`],
      ...(number % 2 === 1 && { hours: { startHour: 18, endHour: 8, timezone: 'Europe/Amsterdam' } }),
    }),
  )
  return [...services, ...denials]
}

async function against(middleware: readonly KmsMiddleware[]): Promise<Contest> {
  const without = await remembered('aes256-gcm96', { middleware }, {})
  // The first key is made by nobody, before the policy is asked.
  const policy = accessPolicy({ rules: fiftyRules() })
  const held = await remembered('aes256-gcm96', {
    middleware: [(call, next) => (call.operation === 'createKey' ? next() : policy(call, next))],
  })
  const context = { actor: { type: 'serviceAccount', id: 'service-39' }, clientIp: '10.1.2.3' } as const
  const [ours, reference] = [held.kms.with(context), without.kms.with(context)]
  return {
    reference: without.side(calls, () => reference.encrypt({ key: 'key', plaintext: kibibyte })),
    ours: held.side(calls, () => ours.encrypt({ key: 'key', plaintext: kibibyte })),
    close: async () => {
      await held.kms.close()
      await without.kms.close()
    },
  }
}
