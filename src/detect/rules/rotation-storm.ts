/** More rotations than any policy asks for. */
import { keyAndActor, mayBeDone } from '../deed.ts'
import { defineRule, type Rule } from '../rule.ts'
import { checkHits, slidingWindow } from '../window.ts'
import { counted, listed, word } from '../words.ts'

/** Groups of a window: each keeps its hits. */
const max = 5000
const [hourMs, dayMs] = [3_600_000, 86_400_000]

export const rotationStorm: Rule = defineRule({
  id: 'rotation-storm',
  title: 'Keys are rotated again and again',
  level: 'medium',
  attack: ['T1499'],
  why: 'Each rotation makes a version that must be kept. Many of them are a loop in a program, or somebody who fills the key store, hides which version mattered, or prepares an export.',
  falsePositives: ['All keys rotated by hand on one day, as after a leak: it was agreed upon.'],
  whatToDo:
    'Stop the actor, then look at its calls: a loop of a program shows by its even pace. Rotations cannot be undone; nothing is lost by them.',
  actions: ['kms.rotate', 'kms.rotate.scheduled'],
  parameters: {
    /** By hand, of different keys, by one actor within an hour: who rotates a few keys has a list, and this is more. */
    byActor: 5,
    /** Of one key within a day: the shortest period is a day. */
    ofKey: 3,
  },
  check({ byActor, ofKey }) {
    checkHits('rotation-storm', { byActor, ofKey })
  },
  watch({ byActor, ofKey }, tools) {
    // Many keys that are due on one day are ordinary: of the schedule's rotations only those of one key are counted.
    const actors = slidingWindow(tools, {
      ...{ name: 'actors', span: hourMs, atLeast: byActor, distinct: Math.min(2, byActor), quiet: dayMs, max },
    })
    const keys = slidingWindow(tools, { name: 'keys', span: dayMs, atLeast: ofKey, max })
    const scheduled = slidingWindow(tools, { name: 'scheduled', span: dayMs, atLeast: ofKey, max })
    return {
      take(seen) {
        const { entry, key, keyName = '', actor = '' } = seen
        if (!mayBeDone(entry)) return
        const isManual = entry.action === 'kms.rotate'
        const byOne = isManual ? actors.add(actor, seen, keyName) : undefined
        if (byOne !== undefined) {
          const { count, items, evidence, from, to } = byOne
          const who = actor === '' ? 'somebody unknown' : word(actor)
          const says = `${who} rotated keys ${counted(count, 'time')} within an hour: ${listed(items)}`
          tools.report({ subject: actor === '' ? {} : { actor }, count, evidence, from, to, says })
        }
        const ofOne = key === undefined ? undefined : (isManual ? keys : scheduled).add(key, seen)
        if (ofOne === undefined) return
        const { count, evidence, from, to } = ofOne
        const how = isManual ? 'by hand' : 'by schedule'
        const says = `key ${word(keyName)} was rotated ${counted(count, 'time')} ${how} within a day`
        tools.report({ subject: isManual ? keyAndActor(seen) : { key: keyName }, count, evidence, from, to, says })
      },
    }
  },
  examples: [
    {
      says: 'five keys within an hour by one actor, told once',
      findings: 1,
      levels: ['medium'],
      steps: [
        {
          action: 'kms.rotate',
          times: 9,
          every: '10m',
          with: (number) => ({ resourceIdentity: `kms-${number}`, keySlug: `k${number}` }),
        },
      ],
    },
    {
      says: 'one key three times in a day, by several',
      findings: 1,
      steps: [
        {
          action: 'kms.rotate',
          times: 3,
          every: '8h',
          with: (number) => ({ actor: { type: 'user', id: `u${number}` } }),
        },
      ],
    },
    {
      says: 'one key again and again by one actor: told of the key, not of the actor besides',
      findings: 1,
      steps: [{ action: 'kms.rotate', times: 9, every: '5m' }],
    },
    {
      says: 'a loop of the schedule over one key',
      findings: 1,
      steps: [{ action: 'kms.rotate.scheduled', times: 5, every: '1h' }],
    },
    {
      says: 'many keys are due on one day',
      findings: 0,
      steps: [
        {
          action: 'kms.rotate.scheduled',
          times: 60,
          with: (number) => ({ resourceIdentity: `kms-${number}`, keySlug: `k${number}` }),
        },
      ],
    },
    {
      says: 'four keys within an hour, and one key twice in a day',
      findings: 0,
      steps: [
        {
          action: 'kms.rotate',
          times: 4,
          every: '10m',
          with: (number) => ({ resourceIdentity: `kms-${number}`, keySlug: `k${number}` }),
        },
        { action: 'kms.rotate', after: '1h', times: 2, every: '5h' },
        { action: 'kms.rotate.scheduled', after: '1h', times: 2, every: '5h' },
      ],
    },
    {
      says: 'each day one, by schedule and by hand',
      findings: 0,
      steps: [
        { action: 'kms.rotate.scheduled', times: 9, every: '1d' },
        { action: 'kms.rotate', times: 9, every: '1d' },
      ],
    },
    {
      says: 'refused ones made nothing',
      findings: 0,
      steps: [{ action: 'kms.rotate', times: 20, with: { outcome: 'failure' } }],
    },
  ],
})
