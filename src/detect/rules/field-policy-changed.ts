/** The log keeps less than before, or keeps it less safely: fields, sinks, durability. */
import { msOf } from '../../model/duration.ts'
import type { AuditEntry, EntrySink } from '../../model/entry.ts'
import { defineRule, type Rule } from '../rule.ts'
import { word } from '../words.ts'
import { trailsIn, writerName } from '../writer.ts'

/** What the examples begin with. */
const all = 'clientIp=full encryptionContext=clear'
const trail: EntrySink = { name: 'trail', durability: 'synced', required: true, vkey: 'keytrail/a+0123abcd+key' }
const siem: EntrySink = { name: 'siem', durability: 'remote', required: true }

export const fieldPolicyChanged: Rule = defineRule({
  id: 'field-policy-changed',
  title: 'The log is kept in another way than before',
  level: 'medium',
  attack: ['T1562.008'],
  why: 'What is not recorded cannot be found. The first entry of each start tells which fields are kept, where and how safely; a start that keeps less is a decision, or somebody who prepares something.',
  falsePositives: [
    'A change of the configuration that was decided upon.',
    'A second program, such as a command line, that opens the same trail under the same name with another configuration.',
  ],
  whatToDo:
    'Compare with the change that was decided upon. If there was none, put the old configuration back, and find who changed it: from this start on the trail may lack what you need to see.',
  actions: ['audit.opened'],
  parameters: {
    /** The same change of the same writer, such as back and forth in a deployment, once in so long. */
    quiet: '7d',
  },
  watch({ quiet }, tools) {
    const quietMs = msOf('quiet', quiet)
    const writers = tools.table<Kept>('writers', { max: 2000, make: newKept })
    return {
      take({ entry, at }) {
        const kept = writers.of(`${writerName(entry.instance)} ${trailsIn(entry.details)}`)
        const before = { ...kept }
        kept.fields = textIn(entry.details?.fields)
        kept.sinks = sinksIn(entry)
        kept.eventID = entry.eventID
        // The first start that is seen: nothing to compare it with.
        if (before.eventID === '') return
        const changes = [...fieldChanges(before.fields, kept.fields), ...sinkChanges(before.sinks, kept.sinks)]
        if (changes.length === 0) return
        const says = changes.map(({ says }) => says).join('; ')
        const told = kept.told.filter(([, when]) => at < when + quietMs && at > when - quietMs)
        const isTold = told.some(([each]) => each === says)
        kept.told = isTold ? told : [...told, [says, at] as const].slice(-mostTold)
        if (isTold) return
        tools.report({
          level: changes.some(({ isWeaker }) => isWeaker) ? 'high' : 'medium',
          subject: { instance: entry.instance },
          evidence: [before.eventID, entry.eventID],
          says: `the log of ${word(writerName(entry.instance))} is kept in another way since this start: ${says}`,
        })
      },
    }
  },
  examples: [
    {
      says: 'addresses are not kept any more',
      findings: 1,
      levels: ['high'],
      steps: [start(1, all), start(2, 'clientIp=none encryptionContext=clear')],
    },
    {
      says: 'a field is dropped besides',
      findings: 1,
      levels: ['high'],
      steps: [start(1, `${all} drop=route`), start(2, `${all} drop=actor.id,route`)],
    },
    {
      says: 'addresses are hashed from now on: less to read, and still the same for the same',
      findings: 1,
      levels: ['medium'],
      steps: [start(1, all), start(2, 'clientIp=hash encryptionContext=clear')],
    },
    {
      says: 'a required sink is gone',
      findings: 1,
      levels: ['high'],
      steps: [start(1, all, [trail, siem]), start(2, all, [trail])],
    },
    {
      says: 'a required sink is not waited for any more',
      findings: 1,
      levels: ['high'],
      steps: [start(1, all, [trail, siem]), start(2, all, [trail, { ...siem, required: false }])],
    },
    {
      says: 'a sink is less durable',
      findings: 1,
      levels: ['high'],
      steps: [start(1, all, [trail, siem]), start(2, all, [trail, { ...siem, durability: 'handed-over' }])],
    },
    {
      says: 'a copy that nobody waited for is gone',
      findings: 1,
      levels: ['medium'],
      steps: [start(1, all, [trail, { ...siem, required: false }]), start(2, all, [trail])],
    },
    {
      says: 'back and forth in a deployment: each change once',
      findings: 2,
      levels: ['high', 'medium'],
      steps: [1, 2, 3, 4, 5, 6].map((number) => start(number, number % 2 === 1 ? all : `${all} drop=route`)),
    },
    {
      says: 'the same configuration, start after start',
      findings: 0,
      steps: [1, 2, 3].map((number) => start(number, all)),
    },
    {
      says: 'the same fields in another order, and one more sink',
      findings: 0,
      steps: [start(1, `${all} drop=route,method`), start(2, `${all} drop=method,route`, [trail, siem])],
    },
    {
      says: 'another writer with another policy',
      findings: 0,
      steps: [
        start(1, all),
        { action: 'audit.opened', with: { instance: 'cli-1', sequence: 0, details: { fields: 'clientIp=none' } } },
      ],
    },
  ],
})

interface Kept {
  fields: string
  sinks: readonly Sink[]
  eventID: string
  /** Changes that were told, and when. */
  told: readonly (readonly [says: string, at: number])[]
}

type Sink = readonly [name: string, durability: number, required: 0 | 1]

interface Change {
  readonly says: string
  /** Something is lost that was kept before. */
  readonly isWeaker: boolean
}

function newKept(): Kept {
  return { fields: '', sinks: [], eventID: '', told: [] }
}

const mostTold = 8
/** Far more than a policy or a list of sinks that anybody wrote. */
const [longestText, mostSinks] = [2048, 32]

function textIn(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, longestText) : ''
}

/** By what outlives what: this process, this machine. `synced` and `remote` both outlive a power cut. */
const safety: Readonly<Record<string, number>> = { memory: 0, 'handed-over': 1, written: 2, synced: 3, remote: 3 }

function sinksIn({ details }: AuditEntry): readonly Sink[] {
  const sinks = details?.sinks
  if (!Array.isArray(sinks)) return []
  const known: readonly ({ readonly [field: string]: unknown } | null)[] = sinks.slice(0, mostSinks)
  return known.map((sink) => {
    const durability = String(sink?.['durability'])
    const rank = Object.hasOwn(safety, durability) ? (safety[durability] ?? 0) : 0
    return [textIn(sink?.['name']), rank, sink?.['required'] === true ? 1 : 0]
  })
}

function sinkChanges(before: readonly Sink[], after: readonly Sink[]): readonly Change[] {
  const left = new Map(after.map((sink) => [sink[0], sink]))
  const isFewer = count(after) < count(before)
  return before.flatMap(([name, rank, required]): readonly Change[] => {
    const now = left.get(name)
    // One that has another name from now on is another sink, and a change all the same.
    if (now === undefined)
      return [
        { says: `${required === 1 ? 'required ' : ''}sink ${word(name)} is gone`, isWeaker: required === 1 && isFewer },
      ]
    if (now[2] < required) return [{ says: `sink ${word(name)} is not required any more`, isWeaker: true }]
    if (now[1] < rank) return [{ says: `sink ${word(name)} is less durable`, isWeaker: true }]
    return []
  })
}

function count(sinks: readonly Sink[]): number {
  return sinks.filter(([, , required]) => required === 1).length
}

/** What the text of a policy says, by its name: `clientIp=full`, `drop=actor.id,route`. */
function fieldsIn(text: string): ReadonlyMap<string, readonly string[]> {
  const parts = text.split(' ').filter((part) => part !== '')
  return new Map(
    parts.map((part) => {
      const [name = '', values = ''] = part.split('=', 2)
      return [name, values.split(',').sort()]
    }),
  )
}

function fieldChanges(before: string, after: string): readonly Change[] {
  if (before === after) return []
  const [old, now] = [fieldsIn(before), fieldsIn(after)]
  const names = [...new Set([...old.keys(), ...now.keys()])]
  return names.flatMap((name): readonly Change[] => {
    const [was, is] = [old.get(name) ?? [], now.get(name) ?? []]
    if (was.join() === is.join()) return []
    const says = `${word(name)} was ${word(was.join() || 'nothing')} and is ${word(is.join() || 'nothing')}`
    return [{ says, isWeaker: keepsLess(name, was, is) }]
  })
}

function keepsLess(name: string, was: readonly string[], is: readonly string[]): boolean {
  if (name === 'drop') return is.some((field) => !was.includes(field))
  if (name === 'clientIp') return is[0] === 'none'
  return name === 'encryptionContext' && is[0] === 'drop'
}

function start(number: number, fields: string, sinks: readonly EntrySink[] = [trail]) {
  const details = { sinks, fields }
  return {
    action: 'audit.opened',
    after: '1h',
    with: { instance: `main-start${number}`, sequence: 0, details },
  } as const
}
