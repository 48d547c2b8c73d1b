/** Key material left: each time is for somebody to look at. */
import { byWhom, forWhatReason, keyAndActor, mayBeDone } from '../deed.ts'
import type { Level } from '../finding.ts'
import { defineRule, type Rule } from '../rule.ts'
import { word } from '../words.ts'

interface Intent {
  eventID: string
  form: string
  recipient: string
}

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
  phases: ['intent', 'result'],
  parameters: {},
  watch(_parameters, tools) {
    // A result that recovery wrote tells neither form nor recipient: its intent does.
    const intents = tools.table<Intent>('intents', {
      max: 1000,
      make: () => ({ eventID: '', form: '', recipient: '' }),
    })
    return {
      take(seen) {
        const { entry } = seen
        const { form, recipient } = entry.details ?? {}
        const { operationID = '' } = entry
        if (entry.phase === 'intent') {
          Object.assign(intents.of(operationID), {
            eventID: entry.eventID,
            form: form ?? '',
            recipient: recipient ?? '',
          })
          return
        }
        const intent = intents.get(operationID)
        intents.delete(operationID)
        if (!mayBeDone(entry)) return
        const told = { form: form ?? intent?.form ?? '', recipient: recipient ?? intent?.recipient ?? '' }
        const isWrapped = told.form === 'wrapped'
        const hasReason = entry.reason?.code !== undefined
        const level: Level = isWrapped && hasReason ? 'medium' : isWrapped || hasReason ? 'high' : 'critical'
        const did = entry.outcome === 'unknown' ? 'may have exported' : 'exported'
        tools.report({
          level,
          subject: keyAndActor(seen),
          evidence: intent === undefined || form !== undefined ? [entry.eventID] : [intent.eventID, entry.eventID],
          says: `${byWhom(seen)} ${did} key ${word(seen.keyName)} ${formOf(told)}, ${forWhatReason(seen)}`,
        })
      },
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
    {
      says: 'a crash in between, and recovery cannot tell whether it left: the intent says in which form it would have',
      findings: 1,
      levels: ['high'],
      steps: [
        {
          action: 'kms.export',
          with: { phase: 'intent', outcome: 'pending', operationID: 'op-1', details: { form: 'wrapped' } },
        },
        {
          action: 'kms.export',
          after: '1h',
          with: { outcome: 'unknown', operationID: 'op-1', details: { recovered: true } },
        },
      ],
    },
    {
      says: 'a crash in between, and nothing left',
      findings: 0,
      steps: [
        { action: 'kms.export', with: { phase: 'intent', outcome: 'pending', operationID: 'op-1' } },
        { action: 'kms.export', with: { outcome: 'failure', operationID: 'op-1', details: { recovered: true } } },
      ],
    },
    {
      says: 'in a form that nothing tells, it is taken for the worst',
      findings: 1,
      levels: ['critical'],
      steps: [{ action: 'kms.export', with: { outcome: 'unknown', details: { recovered: true } } }],
    },
  ],
})

function formOf({ form, recipient }: { readonly form: string; readonly recipient: string }): string {
  if (form === '') return 'in a form that the log does not tell'
  if (form !== 'wrapped') return `in the clear (${word(form)})`
  return recipient === '' ? 'wrapped' : `wrapped for ${word(recipient)}`
}
