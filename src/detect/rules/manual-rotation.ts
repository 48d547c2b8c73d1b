/** Rotations by hand that the policy does not explain. */
import { KmsError } from '../../model/errors.ts'
import { compileGlobs } from '../../model/globs.ts'
import { byWhom, keyAndActor, mayBeDone } from '../deed.ts'
import type { Level } from '../finding.ts'
import { dayMs, policyActions, rotationPolicies } from '../rotation-policy.ts'
import { defineRule, type Rule } from '../rule.ts'
import { checkTexts } from '../texts.ts'
import { counted, lengthOf, word } from '../words.ts'

const anybody: readonly string[] = []

export const manualRotation: Rule = defineRule({
  id: 'manual-rotation',
  title: 'A key was rotated by hand, outside its policy',
  level: 'medium',
  attack: [],
  why: 'Rotations belong to a policy. One by hand is an answer to something, and then its reason stands there; or somebody makes key versions who should not.',
  falsePositives: ['A rotation in an emergency by whoever was at hand: it should have said why.'],
  whatToDo:
    'Ask the actor for the reason, and note it. If nobody knows of it, look at what else the actor did, and whether the new version was exported.',
  actions: [...policyActions],
  parameters: {
    /** Who may rotate by hand, as `user:alice` or `serviceAccount:ops-*`; empty: anybody. */
    actors: anybody,
    /** A key that rotates by schedule, and did so less than this share of its period ago, needed no rotation; 0: not looked at. */
    early: 0.1,
  },
  check({ actors, early }) {
    checkTexts('actors', actors)
    if (early > 1) throw new KmsError('INVALID_INPUT', "'early' must be a share of the period, from 0 to 1")
  },
  watch({ actors, early }, tools) {
    const policies = rotationPolicies(tools)
    const allowed = compileGlobs(actors)
    return {
      take(seen) {
        const { entry, key = '', at, actor } = seen
        const { period = 0, base = 0, isMade = false, eventID = '' } = policies.get(key) ?? {}
        policies.take(seen)
        if (entry.action !== 'kms.rotate' || !mayBeDone(entry)) return
        const age = Math.max(0, at - base)
        const isEarly = period > 0 && isMade && age < period * dayMs * early
        const hasReason = entry.reason?.code !== undefined
        const mayNot = actors.length > 0 && !allowed.matches(actor ?? '')
        const level = levelOf({ isEarly, hasReason, mayNot })
        if (level === undefined) return
        const facts = [
          ...(mayNot ? ['is not among those who may'] : []),
          ...(isEarly ? [`did so ${lengthOf(age)} after the version before, of ${counted(period, 'day')}`] : []),
          ...(hasReason ? [] : ['gave no reason']),
        ]
        const says = `${byWhom(seen)} rotated key ${word(seen.keyName)} by hand, and ${facts.join(', and ')}`
        const evidence = isEarly ? [eventID, entry.eventID] : [entry.eventID]
        tools.report({ level, subject: keyAndActor(seen), evidence, ...(isEarly && { from: at - age }), says })
      },
    }
  },
  examples: [
    {
      says: 'without a reason',
      findings: 1,
      levels: ['low'],
      steps: [{ action: 'kms.rotate' }],
    },
    {
      says: 'with a reason',
      findings: 0,
      steps: [{ action: 'kms.rotate', with: { reason: { code: 'leaver' } } }],
    },
    {
      says: 'a day after the schedule did so, and without a reason',
      findings: 1,
      levels: ['medium'],
      steps: [
        { action: 'kms_key.create', with: { details: { keyRotationEnabled: true, rotationPeriodInDays: 90 } } },
        { action: 'kms.rotate.scheduled', after: '90d' },
        { action: 'kms.rotate', after: '1d' },
      ],
    },
    {
      says: 'the same with a reason: an emergency',
      findings: 1,
      levels: ['low'],
      steps: [
        { action: 'kms_key.create', with: { details: { rotationPeriodInDays: 90 } } },
        { action: 'kms.rotate', after: '1d', with: { reason: { code: 'compromise' } } },
      ],
    },
    {
      says: 'half way to its day, with a reason',
      findings: 0,
      steps: [
        { action: 'kms_key.create', with: { details: { rotationPeriodInDays: 90 } } },
        { action: 'kms.rotate', after: '45d', with: { reason: { code: 'leaver' } } },
      ],
    },
    {
      says: 'by somebody who may not, whatever the reason',
      findings: 1,
      levels: ['medium'],
      parameters: { actors: ['user:alice', 'serviceAccount:ops-*'] },
      steps: [
        { action: 'kms.rotate', with: { reason: { code: 'leaver' } } },
        { action: 'kms.rotate', with: { reason: { code: 'leaver' }, actor: { type: 'user', id: 'alice' } } },
        { action: 'kms.rotate', with: { reason: { code: 'leaver' }, actor: { type: 'serviceAccount', id: 'ops-1' } } },
      ],
    },
    {
      says: 'on schedule, or refused',
      findings: 0,
      steps: [
        { action: 'kms.rotate.scheduled', times: 3, every: '1d' },
        { action: 'kms.rotate', with: { outcome: 'failure', error: 'KEY_NOT_ACTIVE' } },
      ],
    },
  ],
})

interface Verdict {
  readonly isEarly: boolean
  readonly hasReason: boolean
  readonly mayNot: boolean
}

/** Undefined: nothing to tell. */
function levelOf({ isEarly, hasReason, mayNot }: Verdict): Level | undefined {
  if (mayNot || (isEarly && !hasReason)) return 'medium'
  return isEarly || !hasReason ? 'low' : undefined
}
