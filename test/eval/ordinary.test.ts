/** Ordinary life, with attacks and without: entries as keytrail writes them, in order, and the same for the same seed. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import type { AuditEntry } from '../../src/model/entry.ts'
import { errorCodes } from '../../src/model/errors.ts'
import { lineOf } from '../../src/model/line.ts'
import { validateEntry } from '../validate.ts'
import { type Attack, playAttacks } from './attack.ts'
import { attacks } from './attacks.ts'
import { expected, ruleIDs } from './expected.ts'
import { day, lifeBegins, lifeDays } from './life/calendar.ts'
import { companyOf } from './life/company.ts'
import { jobsOf } from './life/jobs.ts'
import { keyPlans } from './life/keys.ts'
import { peopleOf } from './life/people.ts'
import { servicesOf } from './life/services.ts'
import { openWorld } from './life/world.ts'
import { liveOn } from './ordinary.ts'

const scale = 0.004

function lived(seed: number, woven = attacks) {
  const life = liveOn({ seed, scale, attacks: woven })
  const entries = [...life.entries]
  return { entries, company: life.company, truths: life.truths() }
}

const ordinary = lived(11, [])
const attacked = lived(11)

test('the same seed is the same life, another seed another', () => {
  assert.equal(digestOf(liveOn({ seed: 11, scale, attacks }).entries), digestOf(attacked.entries))
  const begun = (entries: Iterable<AuditEntry>) => digestOf(firstOf(entries, 2000))
  assert.equal(begun(liveOn({ seed: 11, scale }).entries), begun(ordinary.entries))
  assert.notEqual(begun(liveOn({ seed: 12, scale }).entries), begun(ordinary.entries))
})

for (const [name, life] of Object.entries({ 'ordinary life': ordinary, 'life with attacks': attacked }))
  describe(name, () => {
    const { entries } = life

    test('entries match the schema, and lines keep their law', () => {
      // Each of the rare kinds, and a sample of the others.
      const seen = new Map<string, number>()
      let checked = 0
      for (const [at, entry] of entries.entries()) {
        const kind = `${entry.action} ${entry.phase} ${entry.outcome} ${entry.error} ${entry.details?.flags?.[0]}`
        const times = (seen.get(kind) ?? 0) + 1
        seen.set(kind, times)
        if (times > 12 && at % 25 !== 0) continue
        checked += 1
        validateEntry(entry)
        const line = lineOf(entry)
        // The law's own words: what is read writes the same.
        assert.equal(lineOf(JSON.parse(line) as AuditEntry), line)
      }
      assert.ok(checked > 700 && seen.size > 45, `${checked} of ${seen.size} kinds`)
    })

    test('numbers run without gaps within a start, and ids never go back', () => {
      const stolen = life.truths.some(({ kind }) => kind === 'sequence-missing')
      const last = new Map<string, AuditEntry>()
      const ids = new Set<string>()
      let gaps = 0
      for (const entry of entries) {
        const before = last.get(entry.instance)
        assert.ok(!ids.has(entry.eventID), 'an id is given once')
        ids.add(entry.eventID)
        if (before === undefined) {
          assert.equal(entry.action, 'audit.opened')
          assert.equal(entry.sequence, 0)
        } else if (entry.sequence !== before.sequence + 1) gaps += 1
        const isReserved = entry.action.startsWith('secret.') || entry.details?.joined !== undefined
        if (before !== undefined && !isReserved) {
          assert.ok(entry.eventID > before.eventID, lineOf(entry))
          last.set(entry.instance, entry)
        } else last.set(entry.instance, before === undefined ? entry : { ...before, sequence: entry.sequence })
      }
      if (stolen) assert.ok(gaps > 0)
      else assert.equal(gaps, 0)
    })

    test('time goes on, save where an entry says that it went back, and lasts a month', () => {
      const skewed = new Set<string>()
      let latest = 0
      for (const { action, createdAt, instance } of entries) {
        const at = Date.parse(createdAt)
        if (action === 'audit.clock_stepped') skewed.add(instance)
        if (skewed.has(instance)) continue
        assert.ok(at >= latest, `${createdAt} of ${action}`)
        latest = at
      }
      assert.equal(latest < lifeBegins + lifeDays * day && latest > lifeBegins + (lifeDays - 0.1) * day, true)
    })

    test('an id tells the time of its entry', () => {
      const late = entries.filter(
        ({ action, details }) => !action.startsWith('secret.') && details?.joined === undefined,
      )
      const skewed = new Set(entries.filter(({ action }) => action === 'audit.clock_stepped').map((e) => e.instance))
      for (const { eventID, createdAt, instance } of late) {
        if (skewed.has(instance)) continue
        assert.equal(Number.parseInt(eventID.replace('-', '').slice(0, 12), 16), Date.parse(createdAt))
      }
    })

    test('changes begin with an intent and end with one result; everything else has one entry', () => {
      const open = new Map<string, AuditEntry>()
      let closed = 0
      for (const entry of entries) {
        const { operationID, phase, action } = entry
        const isChange =
          /^kms\.(rotate|export)|^kms_key\.(create|import|enable|disable|delete|cancel|update)|^secret\.(put|update)/
        assert.equal(operationID !== undefined, isChange.test(action), lineOf(entry))
        if (operationID === undefined) continue
        const intent = open.get(operationID)
        if (phase === 'intent') {
          assert.equal(intent, undefined)
          open.set(operationID, entry)
        } else {
          assert.equal(intent?.action, action)
          assert.equal(intent?.actor?.id, entry.actor?.id)
          open.delete(operationID)
          closed += 1
        }
      }
      assert.ok(closed > 40)
      assert.equal(open.size, 0)
    })

    test('failures have their code, their status and no output', () => {
      for (const entry of entries) {
        const { action, outcome, error, statusCode, payloadSizes = {}, details } = entry
        if (outcome === 'failure') {
          assert.equal(statusCode, error && errorCodes[error].status)
          if (action === 'kms.decrypt') assert.equal(payloadSizes.plaintext, undefined)
          if (action === 'kms.encrypt') assert.equal(payloadSizes.ciphertext, undefined)
          assert.equal(
            error === 'INVALID_CIPHERTEXT' && details?.joined === undefined,
            details?.decryptFailure !== undefined,
          )
        } else assert.equal(error, undefined)
      }
    })

    test('versions are those that rotations made, and old ones are marked', () => {
      const latest = new Map<string, number>()
      for (const { action, phase, outcome, keyVersion, latestVersion, resourceIdentity = '' } of entries) {
        if (keyVersion === undefined || phase !== 'result' || !action.startsWith('kms.')) continue
        const known = latest.get(resourceIdentity)
        if (action.startsWith('kms.rotate') && outcome === 'success') {
          if (known !== undefined) assert.equal(keyVersion, known + 1)
          latest.set(resourceIdentity, keyVersion)
        } else if (latestVersion === false) assert.ok(known === undefined || keyVersion < known)
        else if (action !== 'kms.export') {
          assert.ok(known === undefined || keyVersion === known, `${action} ${keyVersion} of ${known}`)
          latest.set(resourceIdentity, keyVersion)
        }
      }
      assert.ok(latest.size > 40)
    })

    test('secrets are read and written with the KMS calls that they name, in their order', () => {
      const kms = new Map<string, AuditEntry>()
      let joined = 0
      let alone = 0
      for (const entry of entries) {
        const { action, origin, details, phase, eventID, operationID, resourceIdentity } = entry
        if (origin?.service === 'secrets-manager') kms.set(entry.eventID, entry)
        const isValue = action === 'secret.get_value' || action === 'secret.put_value'
        if (!isValue || phase !== 'result' || entry.error !== undefined) continue
        const call = kms.get(details?.kmsEventID ?? '')
        if (call === undefined) {
          alone += 1
          continue
        }
        joined += 1
        kms.delete(call.eventID)
        assert.equal(call.origin?.eventID, eventID)
        assert.equal(call.origin?.resource, resourceIdentity)
        assert.equal(call.encryptionContext?.['secret.path'], resourceIdentity)
        assert.equal(call.keyVersion, entry.keyVersion)
        assert.equal(call.action, action === 'secret.get_value' ? 'kms.decrypt' : 'kms.encrypt')
        if (operationID !== undefined) assert.equal(operationID, eventID)
      }
      assert.ok(joined > 500)
      const isWoven = life.truths.length > 0
      assert.equal(alone > 0, isWoven)
      assert.equal(kms.size > 0, isWoven)
    })
  })

test('the company has its keys, its people and machines, and a life with all that the month has', () => {
  const { entries } = ordinary
  assert.ok(keyPlans.length >= 40 && keyPlans.length <= 80)
  const actors = new Set(entries.map(({ actor }) => actor?.id))
  assert.ok(actors.size >= 60 && actors.size <= 150, String(actors.size))
  const said = new Set(entries.map(({ action, error, outcome }) => `${action} ${error ?? outcome}`))
  for (const needed of [
    'kms.encrypt INVALID_INPUT',
    'kms.encrypt KEY_NOT_FOUND',
    'kms.rotate success',
    'kms.rotate.scheduled success',
    'kms.re_encrypt success',
    'kms.generate_data_key success',
    'kms.export success',
    'kms_key.create success',
    'kms_key.import success',
    'kms_key.disable success',
    'kms_key.enable success',
    'secret.put_value success',
    'audit.heartbeat success',
    'audit.closed success',
    'audit.sink_down success',
    'audit.sink_up success',
    'audit.pruned success',
  ])
    assert.ok(said.has(needed), needed)
})

test('ordinary life keeps to what the company says of itself', () => {
  const { entries, company } = ordinary
  const perHour = new Map<string, number>()
  const prefixes = company.networks.map((network) => {
    const [address = '', bits = ''] = network.split('/')
    return { value: numberOf(address) >>> (32 - Number(bits)), shift: 32 - Number(bits) }
  })
  for (const { action, outcome, actor, keySlug = '', createdAt, context, details } of entries) {
    const ip = context?.clientIp
    if (ip !== undefined)
      assert.ok(
        prefixes.some(({ value, shift }) => numberOf(ip) >>> shift === value),
        ip,
      )
    assert.ok(!company.canaryKeys.includes(keySlug))
    if (action === 'audit.opened') assert.equal(details?.fields, company.fieldPolicy)
    if (action === 'kms.rotate') assert.ok(company.rotationPolicy.manualBy.includes(actor?.id ?? ''))
    if (action === 'kms.rotate.scheduled')
      assert.ok((details?.latenessMs ?? 0) < company.rotationPolicy.graceHours * 3_600_000)
    if (action !== 'kms.decrypt' || outcome !== 'success') continue
    assert.ok(company.expectedDecryptors[keySlug]?.includes(actor?.id ?? ''), `${actor?.id} decrypts with ${keySlug}`)
    const slot = `${actor?.id} ${createdAt.slice(0, 13)}`
    perHour.set(slot, (perHour.get(slot) ?? 0) + 1)
  }
  assert.ok(Math.max(...perHour.values()) <= company.decryptCapPerHour)
})

test('after its deadline no old version of a key that has one is opened', () => {
  const { entries, company } = ordinary
  const rotatedAt = new Map<string, number>()
  for (const { action, phase, createdAt, keySlug = '', latestVersion } of entries) {
    const at = Date.parse(createdAt)
    if (action.startsWith('kms.rotate') && phase === 'result') rotatedAt.set(keySlug, at)
    const deadline = company.oldVersionDeadlineDays[keySlug]
    if (latestVersion !== false || deadline === undefined) continue
    assert.ok(at - (rotatedAt.get(keySlug) ?? lifeBegins) < deadline * day, keySlug)
  }
})

test('every attack left entries that are there, at its time, and a rule is expected to find it', () => {
  const { entries, truths } = attacked
  const byID = new Map(entries.map((entry) => [entry.eventID, entry]))
  const ordinaryIDs = new Set(ordinary.entries.map(({ eventID }) => eventID))
  assert.ok(truths.length >= 24)
  assert.deepEqual(
    truths.map(({ kind }) => kind),
    attacks.map(({ kind }) => kind),
  )
  assert.deepEqual(Object.keys(expected).sort(), attacks.map(({ kind }) => kind).sort())
  for (const truth of truths) {
    const { kind, eventIDs, aftermath, from, to, key, actor, isAbsence } = truth
    assert.ok((expected[kind] ?? []).length > 0, kind)
    assert.ok(isAbsence || eventIDs.length > 0, kind)
    assert.ok(from <= to, kind)
    for (const eventID of [...eventIDs, ...aftermath]) assert.ok(byID.has(eventID), kind)
    assert.equal(new Set(eventIDs).size, eventIDs.length, kind)
    if (isAbsence) continue
    for (const eventID of eventIDs) {
      const entry = byID.get(eventID)
      assert.ok(entry !== undefined && entry.createdAt >= from && entry.createdAt <= to, kind)
      // An intent to make a key has no identity yet.
      const isAbout = entry.resourceIdentity === key?.identity || entry.keySlug === key?.slug
      assert.ok(key === undefined || isAbout, kind)
      const isOthers = kind === 'scheduled-rotation-fails' || kind === 'message-limit-near'
      assert.ok(actor === undefined || isOthers || entry.actor?.id === actor, kind)
      assert.ok(kind === 'message-limit-near' || !ordinaryIDs.has(eventID), kind)
    }
  }
})

test('every rule is expected to find something', () => {
  const named = new Set(Object.values(expected).flat())
  assert.deepEqual(
    ruleIDs.filter((rule) => !named.has(rule)),
    [],
  )
})

test('over the seeds both variants of an attack come, on different days', () => {
  const planned = Array.from({ length: 9 }, (_, seed) => {
    const world = openWorld({ seed, scale })
    const everybody = { services: servicesOf(world), people: peopleOf(world), jobs: jobsOf(world), runner }
    playAttacks(world, { ...everybody, company: companyOf(world, everybody), attacks: [recording] })
    return { variants: world.marks.map(({ variant }) => variant), from: times.pop() ?? 0 }
  })
  assert.deepEqual([...new Set(planned.flatMap(({ variants }) => variants))].sort(), ['loud', 'subtle'])
  const days = planned.map(({ from }) => Math.floor((from - lifeBegins) / day))
  assert.ok(new Set(days).size > 5, String(days))
  assert.ok(days.every((one) => one >= 2 && one < 20))
})

const times: number[] = []
const recording: Attack = {
  kind: 'slug-sweep',
  begins: [2, 20],
  plan({ from }) {
    times.push(from)
  },
}
const runner = { actor: { id: 'dr-runner' } }

function digestOf(entries: Iterable<AuditEntry>): string {
  const hash = createHash('sha256')
  for (const entry of entries) hash.update(lineOf(entry))
  return hash.digest('hex')
}

function* firstOf(entries: Iterable<AuditEntry>, count: number): Generator<AuditEntry> {
  let left = count
  for (const entry of entries) {
    if (left-- === 0) return
    yield entry
  }
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) >>> 0
}
