/** Running numbers are missing: entries were written and are not here. */
import { msOf } from '../../model/duration.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule } from '../rule.ts'
import { counted, word } from '../words.ts'

export const sequenceMissing: Rule = defineRule({
  id: 'sequence-missing',
  title: 'Entries are missing',
  level: 'critical',
  attack: ['T1070', 'T1562.008'],
  why: 'Each start of a writer numbers its entries from 0 without a gap. A number that is not here was written, and taken away or never handed over.',
  falsePositives: [
    'A copy that lost entries, such as a collector that was down: the trail has them.',
    'A detector that was not running for a while, and was not shown what came in between.',
  ],
  whatToDo:
    'Verify the trail against a pin, a witness or a copy from elsewhere. If the trail has the entries, the way here lost them: find where. If not, somebody removed them: keep everything as it is, and look who can write there.',
  actions: ['*'],
  phases: ['intent', 'result', 'amendment'],
  parameters: {
    /** Writers that are new after so long begin with their number 0. Any that was there before has a heartbeat in it. */
    learning: '1d',
    /** Of one start of a writer, once in so long: of a copy that has only some entries each one would be told. */
    quiet: '1h',
  },
  watch({ learning, quiet }, tools) {
    const told = quietFor(tools, { name: 'told', span: msOf('quiet', quiet) })
    const learningMs = msOf('learning', learning)
    const state = tools.record('state', () => ({ from: -1 }))
    return {
      take({ entry, at, missed, sinceMs }) {
        if (missed > 0) {
          if (told.has(entry.instance, at)) return
          told.begin(entry.instance, at)
          tools.report({
            subject: { instance: entry.instance },
            evidence: [entry.eventID],
            count: missed,
            says: `${counted(missed, 'entry', 'entries')} of ${word(entry.instance)} before its number ${entry.sequence} ${missed === 1 ? 'is' : 'are'} missing`,
          })
          return
        }
        if (sinceMs !== undefined) return
        if (state.from < 0 || at < state.from) state.from = at
        if (entry.sequence === 0 || at - state.from < learningMs) return
        tools.report({
          // It may have been watched for the first time, as after its trail was moved here.
          level: 'medium',
          subject: { instance: entry.instance },
          evidence: [entry.eventID],
          count: entry.sequence,
          says: `${word(entry.instance)} is new here, and begins with its number ${entry.sequence}: ${counted(entry.sequence, 'entry', 'entries')} before it ${entry.sequence === 1 ? 'is' : 'are'} missing`,
        })
      },
    }
  },
  examples: [
    {
      says: 'a gap',
      findings: 1,
      levels: ['critical'],
      steps: [{ action: 'kms.encrypt' }, { action: 'kms.encrypt', with: { sequence: 3 } }],
    },
    {
      says: 'before an intent, an amendment, an entry of the log itself',
      findings: 3,
      steps: [
        { action: 'kms.rotate', with: { phase: 'intent', outcome: 'pending' } },
        { action: 'kms.rotate', with: { phase: 'intent', outcome: 'pending', sequence: 2 } },
        { action: 'kms.rotate', after: '1h', with: { phase: 'amendment', sequence: 4 } },
        { action: 'audit.heartbeat', after: '1h', with: { sequence: 6 } },
      ],
    },
    {
      says: 'a copy that lacks every other entry is told once an hour',
      findings: 1,
      steps: [{ action: 'kms.encrypt', times: 900, with: (number) => ({ sequence: 2 * number }) }],
    },
    {
      says: 'a writer that is new after a day, and does not begin at its beginning',
      findings: 1,
      levels: ['medium'],
      steps: [
        { action: 'kms.encrypt' },
        { action: 'kms.encrypt', after: '25h', with: { instance: 'main-example2', sequence: 7 } },
      ],
    },
    {
      says: 'each start has numbers of its own, and two may write at once',
      findings: 0,
      steps: [
        { action: 'kms.encrypt' },
        { action: 'kms.encrypt', with: { instance: 'main-example2', sequence: 0 } },
        { action: 'kms.encrypt', with: { instance: 'main-example2', sequence: 1 } },
        { action: 'kms.encrypt', with: { sequence: 1 } },
        { action: 'kms.encrypt', after: '3d', with: { instance: 'main-example3', sequence: 0 } },
      ],
    },
    {
      says: 'the first entries that are seen stand in the midst of several trails',
      findings: 0,
      steps: [
        { action: 'kms.encrypt', with: { sequence: 5000 } },
        { action: 'kms.encrypt', with: { sequence: 5001 } },
        { action: 'kms.encrypt', after: '1h', with: { instance: 'main-example2', sequence: 700 } },
      ],
    },
    {
      says: 'the same entries a second time',
      findings: 0,
      steps: [
        { action: 'kms.encrypt', with: { sequence: 8 } },
        { action: 'kms.encrypt', with: { sequence: 9 } },
        { action: 'kms.encrypt', with: { sequence: 8 } },
        { action: 'kms.encrypt', with: { sequence: 10 } },
      ],
    },
  ],
})
