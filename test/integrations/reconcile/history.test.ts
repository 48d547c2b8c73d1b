/**
 * A made-up history, told to both sides with retries, losses, bypasses, delays, duplicates and clocks that are apart: exactly what was
 * planted is found, whatever the seed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reconcile } from '../../../src/integrations/reconcile/index.ts'
import type { AuditEntry } from '../../../src/model/entry.ts'
import { type Chance, chance as chanceOf } from '../../campaigns/chance.ts'
import { account, each, entryOf, keyArn, kmsRecord, minute, ownEntry, start, uuid } from './records.ts'

const pairs = [
  ['Encrypt', 'kms.encrypt'],
  ['Decrypt', 'kms.decrypt'],
  ['GenerateDataKey', 'kms.generate_data_key'],
  ['Sign', 'kms.sign'],
  ['GenerateMac', 'kms.hmac'],
  ['ScheduleKeyDeletion', 'kms_key.delete'],
] as const

const keys = 5

interface History {
  readonly ours: AuditEntry[]
  readonly theirs: object[]
  /** `kind ourEventID theirEventID`, in any order. */
  readonly planted: Set<string>
  readonly counts: Record<string, number>
}

function historyOf(chance: Chance, calls: number): History {
  const ours: AuditEntry[] = []
  const theirs: Record<string, unknown>[] = []
  const planted = new Set<string>()
  const counts = { notSent: 0, notArrived: 0, matchedByTime: 0, retries: 0, reads: 0, otherKeys: 0, byServices: 0 }
  // Of AWS' clock before ours, and never as much as the window.
  let skew = chance.below(8 * minute) - 4 * minute
  let request = 0
  /** Where other attempts may be taken for a call's own: no bypass is planted there, for nobody could tell. */
  const blurred: { readonly lane: string; readonly from: number; readonly to: number }[] = []
  const isBlurred = (lane: string, at: number) =>
    blurred.some((place) => place.lane === lane && place.from <= at && at <= place.to)
  const bypasses: { readonly lane: string; readonly record: Record<string, unknown>; readonly at: number }[] = []

  for (let number = 0; number < calls; number++) {
    const at = start + number * 17_000 + chance.below(9000)
    skew = Math.max(-4 * minute, Math.min(4 * minute, skew + chance.below(2001) - 1000))
    const [name, action] = pairs[chance.below(pairs.length)] ?? pairs[0]
    const key = keyArn(chance.below(keys))
    const lane = `${name} ${key}`
    const requestID = uuid(0xa, request++)
    const there = (fields: object = {}, when = at) =>
      kmsRecord({ name, keys: [key], at: when + skew, request: requestID, ...fields })
    const other = (fields: object = {}, when = at) => there({ request: uuid(0xa, request++), ...fields }, when)
    const call = (fields: object = {}) => {
      const entry = entryOf({ at, action, key, request: requestID, attempts: 1, ...fields })
      ours.push(entry)
      return entry.eventID
    }
    switch (chance.below(24)) {
      case 0: {
        const record = other()
        bypasses.push({ lane, record, at: at + skew })
        theirs.push(record)
        break
      }
      case 1:
        planted.add(`only-ours ${call()} -`)
        break
      case 2:
      case 3: {
        const attempts = 2 + chance.below(2)
        const durationMs = 3000
        call({ attempts, durationMs })
        for (let again = 1; again < attempts; again++) {
          theirs.push(
            other({ error: chance.below(3) > 0 ? 'ThrottlingException' : 'KMSInternalException' }, at - again * 1000),
          )
          counts.retries += 1
        }
        theirs.push(there())
        blurred.push({ lane, from: at + skew - durationMs - 5000, to: at + skew + 5000 })
        break
      }
      case 4:
        call({ outcome: 'failure', error: 'INVALID_INPUT', request: undefined, provider: { name: 'aws-kms' } })
        counts.notSent += 1
        break
      case 5: {
        // Cut off: seen by AWS or not.
        call({ outcome: 'failure', error: 'DEADLINE_EXCEEDED', request: undefined, attempts: 1 })
        if (chance.below(2) === 0) counts.notArrived += 1
        else {
          theirs.push(other())
          counts.matchedByTime += 1
        }
        blurred.push({ lane, from: at - 6 * minute, to: at + 6 * minute })
        break
      }
      case 6: {
        const record = there({ name: name === 'Sign' ? 'Encrypt' : 'Sign' })
        theirs.push(record)
        planted.add(`disagreement ${call()} ${record['eventID']}`)
        break
      }
      case 7: {
        const record = there({ keys: [keyArn(77)] })
        theirs.push(record)
        planted.add(`disagreement ${call()} ${record['eventID']}`)
        break
      }
      case 8: {
        const record = there({ error: 'DisabledException' })
        theirs.push(record)
        planted.add(`disagreement ${call()} ${record['eventID']}`)
        break
      }
      case 9:
        theirs.push(other({ keys: [keyArn(90 + chance.below(9))] }))
        counts.otherKeys += 1
        break
      case 10:
        theirs.push(other({ name: 'DescribeKey' }))
        counts.reads += 1
        break
      case 11:
        theirs.push(other({ invokedBy: 's3.amazonaws.com', arn: `arn:aws:iam::${account}:role/web` }))
        counts.byServices += 1
        break
      default:
        call()
        theirs.push(there())
    }
  }
  for (const { lane, record, at } of bypasses) {
    if (isBlurred(lane, at)) theirs.splice(theirs.indexOf(record), 1)
    else planted.add(`only-theirs - ${record['eventID']}`)
  }
  const until = start + calls * 17_000 + 30 * minute
  const edges = [start - 30 * minute, until + 30 * minute]
  ours.push(...edges.map(ownEntry))
  theirs.push(...edges.map((at) => kmsRecord({ name: 'ListKeys', at, keys: [] })))
  counts.reads += edges.length
  // Files come in any order, and some twice.
  for (let number = chance.below(20); number > 0; number--) {
    const again = theirs[chance.below(theirs.length)]
    if (again !== undefined) theirs.push(again)
  }
  shuffle(theirs, chance)
  return { ours, theirs, planted, counts }
}

function shuffle(items: unknown[], chance: Chance): void {
  for (let at = items.length - 1; at > 0; at--) {
    const other = chance.below(at + 1)
    ;[items[at], items[other]] = [items[other], items[at]]
  }
}

const seeds = 60

test(`of ${seeds} histories exactly the planted differences are found`, async () => {
  let found = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const { ours, theirs, planted, counts } = historyOf(chanceOf(seed), 400)
    const told = await reconcile(each(ours), each(theirs))
    const lines = told.findings.map(
      ({ kind, ours: entry, theirs: record }) => `${kind} ${entry?.eventID ?? '-'} ${record?.eventID ?? '-'}`,
    )
    assert.deepEqual(lines.sort(), [...planted].sort(), `seed ${seed}`)
    for (const [name, count] of Object.entries(counts))
      assert.equal(told.counts[name as keyof typeof told.counts], count, `seed ${seed}: ${name}`)
    assert.equal(told.agrees, planted.size === 0)
    found += planted.size
  }
  assert.ok(found > seeds * 40, `${found} were planted`)
})
