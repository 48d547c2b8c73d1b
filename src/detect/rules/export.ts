/** Key material left: each time is for somebody to look at. */
import type { Level } from '../finding.ts'
import { defineRule, type Rule } from '../rule.ts'
import { word } from '../words.ts'

export const exported: Rule = defineRule({
  id: 'export',
  title: 'Key material was exported',
  level: 'high',
  attack: ['T1552.004'],
  why: 'Whoever has the key material needs no KMS any more, and no further entry tells what is done with it.',
  falsePositives: ['An exercise or a migration that was agreed upon: its ticket stands in the reason.'],
  whatToDo:
    'Find who asked, and why. If nobody knows, rotate the key, re-encrypt what it protects, and disable the actor.',
  actions: ['kms.export'],
  parameters: {},
  sees({ entry, keyName = 'unknown', actor = 'somebody unknown' }) {
    if (entry.outcome === 'failure') return undefined
    const { form = 'unknown', recipient } = entry.details ?? {}
    const wrapped = form === 'wrapped'
    const reason = entry.reason?.code
    const level: Level =
      !wrapped && reason === undefined ? 'critical' : wrapped && reason !== undefined ? 'medium' : 'high'
    const how = wrapped ? `wrapped for ${word(recipient)}` : `in the clear (${word(form)})`
    const why = reason === undefined ? 'without a reason' : `because of ${word(reason)}`
    return {
      level,
      subject: { key: keyName, ...(entry.actor?.id !== undefined && { actor }) },
      evidence: [entry.eventID],
      says: `${word(actor)} exported key ${word(keyName)} ${how}, ${why}`,
    }
  },
  examples: [
    {
      says: 'raw, without a reason',
      findings: 1,
      levels: ['critical'],
      steps: [{ action: 'kms.export', with: { details: { form: 'raw' } } }],
    },
    {
      says: 'raw, with a reason',
      findings: 1,
      levels: ['high'],
      steps: [{ action: 'kms.export', with: { details: { form: 'raw' }, reason: { code: 'escrow', ticket: 'T-1' } } }],
    },
    {
      says: 'wrapped, without a reason',
      findings: 1,
      levels: ['high'],
      steps: [{ action: 'kms.export', with: { details: { form: 'wrapped' } } }],
    },
    {
      says: 'wrapped, with a reason',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'kms.export', with: { details: { form: 'wrapped' }, reason: { code: 'escrow' } } }],
    },
    {
      says: 'an export that was refused took nothing away; other rules count refusals',
      findings: 0,
      steps: [{ action: 'kms.export', with: { outcome: 'failure', error: 'EXPORT_NOT_ALLOWED' } }],
    },
    {
      says: 'the intent alone: the result tells whether anything left',
      findings: 0,
      steps: [{ action: 'kms.export', with: { phase: 'intent', outcome: 'pending' } }],
    },
  ],
})
