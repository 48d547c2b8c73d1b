/** What a rule has to go through in a flood: never all that it remembers, at each entry. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDetector } from '../../../src/detect/detector.ts'
import { playExample, type Step } from '../../../src/detect/example.ts'
import type { Rule } from '../../../src/detect/rule.ts'
import { everyRule } from '../../../src/detect/shipped.ts'

/** The rule, and how many cells it looked at to go through its tables. */
function counting(id: string) {
  const rule = everyRule.find((each) => each.id === id)
  assert.ok(rule)
  const gone = { through: 0 }
  const counted: Rule = {
    ...rule,
    start: (tools) =>
      rule.start({
        ...tools,
        table(name, options) {
          const table = tools.table(name, options)
          const entries = function* () {
            for (const each of table.entries()) {
              gone.through += 1
              yield each
            }
          }
          // Its size changes.
          return Object.create(table, { entries: { value: entries } }) as typeof table
        },
      }),
  }
  return { counted, gone }
}

const idOf = (number: number) => `01a20000-0000-7000-9000-${String(number).padStart(12, '0')}`
const origin = (number: number) => ({ service: 'secrets-manager', eventID: `s${number}`, resource: '/db' })

const floods: Readonly<Record<string, readonly Step[]>> = {
  'decrypt-without-secret': [
    { action: 'kms.decrypt', times: 20_000, every: '50ms', with: (number) => ({ origin: origin(number) }) },
  ],
  'secret-without-decrypt': [
    { action: 'kms.encrypt' },
    {
      ...{ action: 'secret.get_value', after: '1s', times: 20_000, every: '50ms' },
      with: (number) => ({ eventID: idOf(number), resourceType: 'secret', resourceIdentity: '/db' }),
    },
  ],
  'sink-down': [
    {
      ...{ action: 'audit.sink_down', times: 10_000, every: '50ms' },
      with: (number) => ({ details: { sink: `s${number}` } }),
    },
  ],
}

for (const [id, steps] of Object.entries(floods))
  test(`${id} goes through what it remembers once a second`, () => {
    const { counted, gone } = counting(id)
    const detector = createDetector([counted])
    const { entries } = playExample({ says: '', findings: 0, steps })
    for (const entry of entries) detector.take(entry)
    assert.deepEqual(detector.health().failed, {})
    assert.ok(gone.through > 1000)
    // Twenty entries a second, and up to ten thousand that are remembered.
    assert.ok(gone.through < 1000 * entries.length, `${gone.through}`)
  })
