/** Reviews to render: a rich one, a quiet one, one of a trail that was tampered with, one full of hostile text, a large one. */
import type { Level } from '../../src/detect/finding.ts'
import type {
  Review,
  ReviewedActor,
  ReviewedExport,
  ReviewedFinding,
  ReviewedKey,
  Timeline,
} from '../../src/report/review.ts'
import type { InstanceVerdict, Verdict } from '../../src/trail/verify/verdict.ts'

const hour = 3_600_000
const day = 24 * hour
const to = Date.parse('2026-11-26T12:00:00.000Z')
const from = to - 30 * day
const moment = (at: number) => new Date(at).toISOString()

/** The same numbers from the same seed, 0 up to, not including, 1. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function eventID(number: number): string {
  const digits = number.toString(16).padStart(12, '0')
  return `019c13a6-4c00-7000-8000-${digits}`
}

const instance: InstanceVerdict = {
  instance: 'api-1',
  verdict: 'valid',
  anchor: 'none',
  anchors: [],
  origin: 'keytrail/lyn9mFuGD9vQ9M0emPzIlw',
  vkey: 'keytrail/lyn9mFuGD9vQ9M0emPzIlw+1f0e2d3c+AQ',
  size: 184_213n,
  root: new Uint8Array(32).fill(7),
  note: 'self-consistent; key supplied by this directory',
}

function verdictOf(worst: InstanceVerdict, others: readonly InstanceVerdict[] = []): Verdict {
  return { ...worst, instances: [worst, ...others] }
}

/** Nothing happened that anybody would have to look at. */
export const quiet: Review = {
  madeAt: moment(to + 90_000),
  from: moment(to - 7 * day),
  to: moment(to),
  timeZone: 'UTC',
  needsEyes: [],
  notes: [],
  least: 'medium',
  verdict: verdictOf({
    ...instance,
    anchor: 'witness',
    anchors: [{ kind: 'witness', size: 184_213n, at: moment(to - hour), witness: 'witness.example', agrees: true }],
    note: 'signed throughout by the key that was given; agrees with the witness witness.example',
  }),
  damagedLines: 0,
  entries: 1_204,
  entriesRead: 184_213,
  instances: ['api-1'],
  findings: [],
  detector: { entries: 184_213, duplicates: 0, evicted: {}, failed: {} },
  exports: [],
  keys: [
    {
      ...{ identity: 'kms-1', slug: 'orders', keyType: 'xaes256-gcm', latestVersion: 3, status: 'active' },
      createdAt: moment(to - 200 * day),
      uses: { 'kms.encrypt': 700, 'kms.decrypt': 500 },
      failures: 0,
      decryptedBy: [{ actor: 'serviceAccount:billing', count: 500 }],
      decryptors: 1,
      lastUsedAt: moment(to - hour),
      unused: false,
      rotation: {
        ...{ enabled: true, periodInDays: 90, lastRotatedAt: moment(to - 20 * day), dueAt: moment(to + 70 * day) },
        state: 'on time',
        rotations: [],
      },
    },
  ],
  actors: [
    {
      actor: 'serviceAccount:billing',
      uses: { 'kms.encrypt': 700, 'kms.decrypt': 500 },
      ...{ failures: 0, keys: 1, networks: 1, userAgents: 1 },
      firstAt: moment(to - 7 * day + hour),
      lastAt: moment(to - hour),
    },
  ],
  othersOfActors: 0,
  ...{ othersOfFindings: 0, othersOfExports: 0, othersOfKeys: 0, othersOfFailures: 0, othersOfSilences: 0 },
  failures: [],
  silences: [],
  log: {
    sinks: [],
    ...{ refusedCalls: 0, opened: 1, recovered: 0, quarantinedBytes: 0, pruned: 0, restored: 0, clockSteps: 0 },
    missing: 0,
    openIntents: [],
    fieldPolicies: [{ at: moment(to - 7 * day), fields: '{"clientIp":"prefix","encryptionContext":"names"}' }],
  },
  timeline: {
    from: moment(to - 7 * day),
    bucketMs: hour,
    series: [
      {
        action: 'kms.encrypt',
        outcome: 'success',
        counts: Array.from({ length: 168 }, (_, at) => (at % 24 > 6 ? 6 : 1)),
      },
      {
        action: 'kms.decrypt',
        outcome: 'success',
        counts: Array.from({ length: 168 }, (_, at) => (at % 24 > 6 ? 4 : 0)),
      },
    ],
  },
  hours: Array.from({ length: 168 }, (_, at) => (at % 24 > 6 && at < 120 ? 10 : 1)),
}

const services = ['billing', 'checkout', 'ledger', 'mailer', 'reports', 'search', 'sync', 'vault-agent', 'webhooks']
const people = ['alice', 'bob', 'carol', 'dmitri', 'eun-ji']
const purposes = ['orders', 'invoices', 'tokens', 'sessions', 'backups', 'webhooks', 'pii', 'ledger', 'mail', 'archive']

interface Size {
  readonly keys: number
  readonly actors: number
  readonly findings: number
  readonly buckets: number
  /** Actions beside the five of every life, for more series. */
  readonly actions?: number
}

/** A month of a busy house, in which things went wrong. */
export function busy({ keys, actors, findings, buckets, actions = 0 }: Size, seed = 7): Review {
  const random = numbers(seed)
  const below = (most: number) => Math.floor(random() * most)
  const actorNames = Array.from({ length: actors }, (_, at) => {
    const service = services[at % services.length] ?? 'billing'
    if (at < people.length) return `user:${people[at]}`
    return `serviceAccount:${service}${at < 20 ? '' : `-${at}`}`
  })
  const made = Array.from({ length: keys }, (_, at) => keyOf(at, { below, actorNames }))
  const exports = exportsOf(made)
  const found = Array.from({ length: findings }, (_, at) => findingOf(at, { below, actorNames, keys: made }))
  const timeline = timelineOf({ buckets, actions }, random)
  return {
    madeAt: moment(to + 90_000),
    from: moment(from),
    to: moment(to),
    timeZone: 'Europe/Amsterdam',
    least: 'medium',
    notes: [
      '1 finding is suppressed',
      'the rules first-use met more than they can remember: they may have missed something',
    ],
    needsEyes: [
      ...exports.map(
        ({ key, actor, reason }) =>
          `${actor ?? 'nobody that is known'} exported the key material of ${key}${reason === undefined ? ' and gave no reason' : ''}`,
      ),
      ...found
        .filter(({ level, suppressed }) => !quietLevels.includes(level) && suppressed === undefined)
        .map(({ level, says }) => `${level}: ${says}`),
      'the rotation of invoices is 12 days overdue',
      'the sink siem dropped 312 entries',
    ].slice(0, 400),
    verdict: verdictOf(
      {
        ...instance,
        anchor: 'pin',
        anchors: [{ kind: 'pin', size: 180_000n, file: '/mnt/elsewhere/prod.pin', agrees: true }],
        note: 'signed throughout by the key that was given; agrees with the pin /mnt/elsewhere/prod.pin',
      },
      [{ ...instance, instance: 'api-2', anchor: 'pin', size: 90_412n }],
    ),
    damagedLines: 0,
    entries: timeline.series.reduce((all, { counts }) => all + counts.reduce((sum, count) => sum + count, 0), 0),
    entriesRead: 1_274_625,
    instances: ['api-1', 'api-2'],
    findings: found,
    detector: { entries: 1_274_625, duplicates: 2, evicted: { 'first-use': 14 }, failed: {} },
    exports,
    keys: made,
    actors: actorNames.map((actor, at) => actorOf(actor, at, below)),
    othersOfActors: 0,
    ...{ othersOfFindings: 0, othersOfExports: 0, othersOfKeys: 0, othersOfFailures: 0, othersOfSilences: 0 },
    failures: [
      {
        statusCode: 400,
        error: 'INVALID_CIPHERTEXT',
        action: 'kms.decrypt',
        decryptFailure: 'authentication',
        count: 412,
        actors: 3,
        keys: 2,
        examples: [eventID(11), eventID(12)],
      },
      {
        statusCode: 403,
        error: 'ACCESS_DENIED',
        action: 'kms.decrypt',
        count: 96,
        actors: 11,
        keys: 4,
        examples: [eventID(13)],
      },
      {
        statusCode: 404,
        error: 'KEY_NOT_FOUND',
        action: 'kms.encrypt',
        count: 31,
        actors: 1,
        keys: 31,
        examples: [eventID(14)],
      },
      {
        statusCode: 400,
        error: 'INVALID_INPUT',
        action: 'kms.sign',
        count: 7,
        actors: 2,
        keys: 1,
        examples: [eventID(15)],
      },
      {
        statusCode: 409,
        error: 'SLUG_TAKEN',
        action: 'kms_key.create',
        count: 2,
        actors: 1,
        keys: 1,
        examples: [eventID(16)],
      },
      {
        statusCode: 503,
        error: 'AUDIT_REFUSED',
        action: 'kms.encrypt',
        count: 1,
        actors: 1,
        keys: 1,
        examples: [eventID(17)],
      },
    ],
    silences: [{ instance: 'api-2#4f1c', from: moment(to - 9 * day), to: moment(to - 9 * day + 3.4 * hour) }],
    log: {
      sinks: [{ sink: 'siem', dropped: 312, downs: 2 }],
      ...{ refusedCalls: 1, opened: 14, recovered: 1, quarantinedBytes: 388, pruned: 1, restored: 0, clockSteps: 1 },
      missing: 0,
      openIntents: [eventID(99)],
      fieldPolicies: [
        { at: moment(from), fields: '{"clientIp":"full","encryptionContext":"names"}' },
        { at: moment(from + 12 * day), fields: '{"clientIp":"prefix","encryptionContext":"names"}' },
      ],
    },
    timeline,
    hours: Array.from({ length: 168 }, (_, at) => hourOf(at, random)),
  }
}

const quietLevels: readonly Level[] = ['informational', 'low']

function hourOf(at: number, random: () => number): number {
  const isWork = at < 120 && at % 24 >= 8 && at % 24 < 19
  if (at === 75) return 9_412
  return Math.round((isWork ? 2_400 : at % 24 < 6 ? 40 : 320) * (0.6 + 0.8 * random()))
}

interface Made {
  readonly below: (most: number) => number
  readonly actorNames: readonly string[]
}

function keyOf(at: number, { below, actorNames }: Made): ReviewedKey {
  const slug = `${purposes[at % purposes.length]}${at < purposes.length ? '' : `-${at}`}`
  const state =
    (['on time', 'on time', 'overdue', 'on time', 'off', 'late', 'on time', 'unknown'] as const)[at % 8] ?? 'on time'
  const last = to - (5 + ((at * 13) % 80)) * day
  const uses = {
    'kms.encrypt': below(40_000),
    'kms.decrypt': below(90_000),
    'kms.sign': below(500),
    'kms.hmac': below(90),
  }
  const isUnused = at % 17 === 9
  const wantedBy = 1 + (at % 5)
  return {
    ...{ identity: `kms-${String(at).padStart(6, '0')}`, slug, keyType: at % 4 === 3 ? 'ecdsa-p256' : 'xaes256-gcm' },
    ...{
      latestVersion: 1 + (at % 6),
      status: at % 19 === 18 ? 'disabled' : 'active',
      createdAt: moment(to - 300 * day),
    },
    uses: isUnused ? {} : uses,
    failures: isUnused ? 0 : below(40),
    decryptedBy: isUnused
      ? []
      : Array.from({ length: wantedBy }, (_, one) => ({
          actor: actorNames[(at + one) % actorNames.length] ?? '',
          count: 9000 >> one,
        })),
    decryptors: isUnused ? 0 : wantedBy,
    lastUsedAt: moment(isUnused ? to - 120 * day : to - below(60) * hour),
    unused: isUnused,
    rotation: {
      ...(state === 'off' || state === 'unknown'
        ? {}
        : { enabled: true, periodInDays: 90, lastRotatedAt: moment(last) }),
      ...(state === 'on time' && { dueAt: moment(last + 90 * day) }),
      ...(state === 'overdue' && { dueAt: moment(to - 12 * day) }),
      ...(state === 'late' && { dueAt: moment(to - 3 * hour) }),
      state,
      rotations:
        at % 3 === 0
          ? [
              {
                at: moment(to - (at % 29) * day),
                action: at % 2 === 0 ? 'kms.rotate.scheduled' : 'kms.rotate',
                outcome: at % 12 === 0 ? 'failure' : 'success',
                eventID: eventID(1000 + at),
              },
            ]
          : [],
    },
  }
}

function actorOf(actor: string, at: number, below: (most: number) => number): ReviewedActor {
  return {
    actor,
    uses: {
      'kms.encrypt': below(20_000),
      'kms.decrypt': below(60_000),
      'kms.verify': below(100),
      'kms.export': at === 0 ? 1 : 0,
    },
    failures: below(30),
    ...{ keys: 1 + (at % 7), networks: 1 + (at % 3), userAgents: 1 + (at % 2) },
    firstAt: moment(from + below(20) * hour),
    lastAt: moment(to - below(90) * hour),
  }
}

function exportsOf(keys: readonly ReviewedKey[]): readonly ReviewedExport[] {
  const [first, second] = keys
  return [
    {
      ...{
        eventID: eventID(501),
        at: moment(to - 2 * day),
        key: first?.slug ?? 'orders',
        keyVersion: 3,
        outcome: 'success',
      },
      ...{ form: 'raw', actor: 'user:alice', clientIp: '203.0.113.9' },
    },
    {
      ...{
        eventID: eventID(502),
        at: moment(to - 11 * day),
        key: second?.slug ?? 'invoices',
        keyVersion: 1,
        outcome: 'success',
      },
      ...{ form: 'wrapped', recipient: 'sha256:4d1f0a', actor: 'user:bob', clientIp: '10.0.4.7' },
      ...{ reason: 'escrow', ticket: 'SEC-1204' },
    },
    {
      ...{ eventID: eventID(503), at: moment(to - 12 * day), key: second?.slug ?? 'invoices', outcome: 'failure' },
      ...{ error: 'EXPORT_NOT_ALLOWED', actor: 'user:bob' },
    },
  ]
}

const stories: readonly {
  readonly rule: string
  readonly level: Level
  readonly title: string
  readonly says: (key: string, actor: string) => string
  readonly whatToDo: string
}[] = [
  {
    rule: 'export',
    level: 'critical',
    title: 'Key material was exported',
    says: (key, actor) => `${actor} exported ${key} raw and gave no reason`,
    whatToDo:
      'Ask whoever exported it, at once. If nobody knows of it, treat the key as disclosed: rotate it, re-encrypt what it protects, and look for where the material went.',
  },
  {
    rule: 'decrypt-volume',
    level: 'high',
    title: 'Far more decryptions than usual',
    says: (key, actor) =>
      `${actor} decrypted 9,412 times with ${key} within an hour; 310 are usual at this hour of the week`,
    whatToDo:
      'See whether a job or a migration explains it. If none does, disable the actor and look at what was read.',
  },
  {
    rule: 'repeated-400',
    level: 'medium',
    title: 'Calls are refused again and again (400)',
    says: (key, actor) => `41 calls by ${actor} with ${key} were refused within 15 minutes`,
    whatToDo:
      'Look at the errors of the entries: one error on one key is most likely a bug of that caller, several keys or errors are probing.',
  },
  {
    rule: 'first-use',
    level: 'low',
    title: 'First use of a key by an actor',
    says: (key, actor) => `${actor} used ${key} for the first time in 14 days`,
    whatToDo: 'Nothing, when it follows a release. Otherwise ask why this actor needs this key.',
  },
]

function findingOf(
  at: number,
  { below, actorNames, keys }: Made & { readonly keys: readonly ReviewedKey[] },
): ReviewedFinding {
  const story = stories[at === 0 ? 0 : 1 + (at % 3)] ?? assertNever()
  const key = keys[at % keys.length]?.slug ?? 'orders'
  const actor = actorNames[(at * 3) % actorNames.length] ?? 'user:alice'
  const when = to - at * 0.6 * hour - below(hour)
  const count = at === 0 ? 1 : 8 + below(30)
  return {
    ...{ id: eventID(7000 + at).replaceAll('-', ''), rule: story.rule, title: story.title, level: story.level },
    attack: ['T1552', 'T1530'],
    at: moment(when),
    subject: { key, actor, source: `10.0.${at % 200}.0/24` },
    window: { from: moment(when - hour), to: moment(when) },
    count,
    evidence: Array.from({ length: Math.min(count, 20) }, (_, one) => eventID(20_000 + at * 20 + one)),
    says: story.says(key, actor),
    whatToDo: story.whatToDo,
    ...(at === 4 && {
      suppressed: { until: moment(to + 10 * day), reason: 'load test, agreed in SEC-1177', by: 'user:carol' },
    }),
  }
}

function assertNever(): never {
  throw new Error('there are four stories')
}

function timelineOf(
  { buckets, actions }: { readonly buckets: number; readonly actions: number },
  random: () => number,
): Timeline {
  const bucketMs = (30 * day) / buckets
  const life: readonly (readonly [string, string, number])[] = [
    ['kms.encrypt', 'success', 900],
    ['kms.decrypt', 'success', 1400],
    ['kms.sign', 'success', 120],
    ['kms.verify', 'success', 160],
    ['kms.decrypt', 'failure', 9],
    ['kms.encrypt', 'failure', 2],
    ['kms.export', 'success', 0.01],
    ['kms_key.create', 'success', 0.2],
    ['kms.rotate', 'unknown', 0.01],
  ]
  const others = Array.from(
    { length: actions },
    (_, at) => [`custom.action_${at}`, at % 5 === 0 ? 'failure' : 'success', 3] as const,
  )
  return {
    from: moment(from),
    bucketMs,
    series: [...life, ...others].map(([action, outcome, most]) => ({
      action,
      outcome,
      counts: Array.from({ length: buckets }, (_, at) => {
        const when = new Date(from + at * bucketMs)
        const isWeekend = when.getUTCDay() % 6 === 0
        const isDay = when.getUTCHours() > 6 && when.getUTCHours() < 19
        const share = (isWeekend ? 0.15 : 1) * (isDay ? 1 : 0.2) * (0.6 + 0.8 * random())
        const isAttack = outcome === 'failure' && at > buckets * 0.8 && at < buckets * 0.82
        return Math.round(most * (isAttack ? 40 : share) * (120 / buckets))
      }),
    })),
  }
}

export const rich: Review = busy({ keys: 42, actors: 64, findings: 36, buckets: 120 })

/** As large as a review may become of a million entries. */
export const large = (): Review => busy({ keys: 2_000, actors: 5_000, findings: 1_000, buckets: 400, actions: 31 })

/** Two entries were changed, and it shows. */
export const tampered: Review = {
  ...rich,
  needsEyes: ['the trail was tampered with: entries are not what was signed', ...rich.needsEyes],
  verdict: verdictOf({
    ...instance,
    verdict: 'tampered',
    size: 20n,
    ...{
      problem: 'entries are not what was signed',
      index: 20n,
      lastIndex: 24n,
      segment: '00000000000000000000.jsonl',
      line: 41,
    },
    note: 'from here on this is not as its writer left it; what stands before is',
  }),
  damagedLines: 3,
}

/** Whatever a caller, or whoever changed a file, could put where text is shown. */
export const hostileTexts: readonly string[] = [
  '<img src=x onerror="globalThis.owned=1">',
  '</script><script>globalThis.owned=1</script>',
  '</style><svg onload=globalThis.owned=1>',
  '"><iframe srcdoc="<script>parent.owned=1</script>">',
  "' onmouseover='globalThis.owned=1",
  'javascript:globalThis.owned=1',
  '<!--<script>',
  '\u202egnp.exe\u2066\u200b\u0000\u001b[31m',
  'شركة العربية 東京 🏦',
  `${'A'.repeat(9_990)}<b>end</b>`,
  '{{constructor.constructor("owned=1")()}} $' + '{owned} &lt;b&gt; &amp;',
]

/** Every text of a review, wherever it may stand, is hostile. */
export function hostile(): Review {
  let at = 0
  const next = () => hostileTexts[at++ % hostileTexts.length] ?? ''
  const actors = hostileTexts.map((actor) => ({ ...actorOf(actor, 1, () => 5), uses: { [next()]: 3 } }))
  return {
    ...rich,
    needsEyes: hostileTexts,
    notes: hostileTexts,
    instances: hostileTexts,
    verdict: verdictOf({
      ...instance,
      verdict: 'tampered',
      instance: next(),
      problem: next(),
      segment: next(),
      note: next(),
      anchors: [{ kind: 'pin', size: 1n, file: next(), agrees: false }],
      anchor: 'pin',
    }),
    findings: rich.findings.slice(0, hostileTexts.length).map((finding) => ({
      ...finding,
      ...{ says: next(), rule: next(), title: next(), whatToDo: next(), evidence: [next()], attack: [next()] },
      subject: { key: next(), actor: next(), source: next(), secret: next(), sink: next(), instance: next() },
      suppressed: { until: next(), reason: next(), by: next() },
    })),
    detector: {
      entries: 1,
      duplicates: 0,
      evicted: { [next()]: 1 },
      failed: { [next()]: { entries: 1, last: next() } },
    },
    exports: hostileTexts.map(() => ({
      eventID: next(),
      at: next(),
      key: next(),
      outcome: next(),
      error: next(),
      form: next(),
      recipient: next(),
      actor: next(),
      clientIp: next(),
      reason: next(),
      ticket: next(),
    })),
    keys: rich.keys.slice(0, hostileTexts.length).map((key) => ({
      ...key,
      ...{ identity: next(), slug: next(), keyType: next(), status: next(), lastUsedAt: next() },
      uses: { [next()]: 2 },
      decryptedBy: [{ actor: next(), count: 2 }],
      rotation: {
        ...key.rotation,
        dueAt: next(),
        lastRotatedAt: next(),
        rotations: [{ at: next(), action: next(), outcome: next(), eventID: next() }],
      },
    })),
    actors,
    failures: [
      {
        statusCode: 400,
        error: next(),
        action: next(),
        decryptFailure: next(),
        count: 1,
        actors: 1,
        keys: 1,
        examples: [next()],
      },
    ],
    silences: [{ instance: next(), from: next(), to: next() }],
    log: {
      ...rich.log,
      sinks: [{ sink: next(), dropped: 1, downs: 1 }],
      openIntents: [next()],
      fieldPolicies: [{ at: next(), fields: next() }],
    },
    timeline: {
      ...rich.timeline,
      series: hostileTexts.map((action, one) => ({
        action,
        outcome: one % 2 === 0 ? next() : 'failure',
        counts: [1, 2, 3],
      })),
    },
  }
}
