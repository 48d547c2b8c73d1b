/** Something is signed at an hour at which that key has no business. */
import { msOf } from '../../model/duration.ts'
import { KmsError } from '../../model/errors.ts'
import { compileGlobs } from '../../model/globs.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule } from '../rule.ts'
import { word } from '../words.ts'

/** Hours by the wall clock of the detector's time zone. */
interface SigningHours {
  /** 0–23: the first hour. */
  readonly startHour: number
  /** 1–24, not in it itself; at or below `startHour` the window goes over midnight, and belongs to the day on which it begins. */
  readonly endHour: number
  /** `mon` … `sun`; every day by default. */
  readonly days?: readonly string[]
}

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const none: { readonly [key: string]: { readonly [name: string]: number | readonly string[] } } = {}
const mostKeys = 10_000

export const signingOutsideHours: Rule = defineRule({
  id: 'signing-outside-hours',
  title: 'Signed outside the hours of the key',
  level: 'high',
  attack: ['T1553', 'T1078'],
  why: 'Releases, payments and certificates are signed when people are at work. A signature in the night is trusted all the same.',
  falsePositives: ['A release that was late, or an emergency.'],
  whatToDo: 'Ask who signed, and what. If nobody knows, disable the key and revoke what it signed since.',
  actions: ['kms.sign'],
  parameters: {
    /**
     * By slug, identity or pattern: `{ 'release-*': { startHour: 7, endHour: 19, days: ['mon', 'tue', 'wed', 'thu', 'fri'] } }`. The first name
     * that matches counts. Other keys may sign at any hour.
     */
    keys: none,
    /** After a finding, for the same actor with the same key. */
    quiet: '12h',
  },
  check({ keys }) {
    for (const [name, hours] of Object.entries(keys)) checkHours(`signing-outside-hours.keys.${name}`, hours)
  },
  watch({ keys, quiet }, tools) {
    const { mayTell } = quietFor(tools, { name: 'told', span: msOf('quiet', quiet) })
    const windows = Object.entries(keys).map(([pattern, hours]) => ({
      globs: compileGlobs([pattern]),
      open: openHours(checkHours(pattern, hours)),
    }))
    const byKey = new Map<string, readonly boolean[] | undefined>()

    return {
      take({ entry, at, actor, key, keyName = key, pair = '' }) {
        if (windows.length === 0 || key === undefined || keyName === undefined || entry.outcome !== 'success') return
        const open = openOf(key, keyName)
        if (open === undefined || open[tools.local.hourOfWeek(at)] === true || !mayTell(pair, at)) return
        const who = actor === undefined ? 'somebody unknown' : word(actor)
        tools.report({
          subject: { key: keyName, ...(actor !== undefined && { actor }) },
          evidence: [entry.eventID],
          says: `${who} signed with key ${word(keyName)} on ${dayNames[Math.floor(tools.local.hourOfWeek(at) / 24)]} in hour ${tools.local.hour(at)}, outside its hours`,
        })
      },
    }

    function openOf(key: string, name: string): readonly boolean[] | undefined {
      const known = byKey.get(key)
      if (known !== undefined || byKey.has(key)) return known
      const open = windows.find(({ globs }) => globs.matches(key) || globs.matches(name))?.open
      if (byKey.size >= mostKeys) byKey.clear()
      byKey.set(key, open)
      return open
    }
  },
  examples: [
    {
      says: 'nothing is configured',
      findings: 0,
      steps: [{ action: 'kms.sign', times: 30, every: '1h' }],
    },
    {
      says: 'within the hours',
      findings: 0,
      parameters: { keys: { orders: { startHour: 12, endHour: 13 } } },
      steps: [{ action: 'kms.sign', times: 60, every: '59s' }],
    },
    {
      says: 'an hour too late, told once in twelve hours',
      findings: 1,
      levels: ['high'],
      parameters: { keys: { 'ord*': { startHour: 7, endHour: 13 } } },
      steps: [{ action: 'kms.sign', after: '1h', times: 30, every: '1m' }],
    },
    {
      says: 'over midnight, on Thursdays: the early Friday belongs to it, the late one does not',
      findings: 1,
      parameters: { keys: { 'kms-orders': { startHour: 22, endHour: 4, days: ['thu'] } } },
      steps: [
        { action: 'kms.sign', after: '10h' },
        { action: 'kms.sign', after: '5h' },
        { action: 'kms.sign', after: '20h' },
      ],
    },
    {
      says: 'on a day that is not among them',
      findings: 1,
      parameters: { keys: { orders: { startHour: 0, endHour: 24, days: ['mon', 'fri'] } } },
      steps: [{ action: 'kms.sign' }, { action: 'kms.sign', after: '12h' }],
    },
    {
      says: 'another key, a verification, and a refusal',
      findings: 0,
      parameters: { keys: { release: { startHour: 0, endHour: 1 }, orders: { startHour: 0, endHour: 1 } } },
      steps: [
        { action: 'kms.sign', with: { resourceIdentity: 'kms-other', keySlug: 'other' } },
        { action: 'kms.verify' },
        { action: 'kms.sign', with: { outcome: 'failure' } },
      ],
    },
  ],
})

const dayNames = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']

function checkHours(name: string, hours: unknown): SigningHours {
  // What a setting holds is not looked at before.
  const { startHour, endHour, days } = (
    typeof hours === 'object' && hours !== null ? hours : {}
  ) as Partial<SigningHours>
  const isHour = (value: unknown, least: number, most: number): value is number =>
    Number.isInteger(value) && Number(value) >= least && Number(value) <= most
  if (!isHour(startHour, 0, 23) || !isHour(endHour, 1, 24))
    throw new KmsError('INVALID_INPUT', `'${name}' must have a startHour from 0 to 23 and an endHour from 1 to 24`)
  if (days === undefined) return { startHour, endHour }
  if (!Array.isArray(days) || days.length === 0 || days.some((day: string) => !weekdays.includes(day)))
    throw new KmsError('INVALID_INPUT', `'${name}.days' must be a list of ${weekdays.join(', ')}`)
  return { startHour, endHour, days }
}

/** Of the 168 hours of a week, from Monday 00:00, those in which there may be a signature. */
function openHours({ startHour, endHour, days = weekdays }: SigningHours): readonly boolean[] {
  const open = new Array<boolean>(168).fill(false)
  const length = endHour > startHour ? endHour - startHour : endHour + 24 - startHour
  for (const day of days)
    for (let hour = 0; hour < length; hour++) open[(weekdays.indexOf(day) * 24 + startHour + hour) % 168] = true
  return open
}
