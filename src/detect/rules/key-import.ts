/** Key material that came from outside. */
import { byWhom, forWhatReason, hasFlag, keyAndActor, mayBeDone } from '../deed.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { word } from '../words.ts'

export const keyImport: Rule = defineRule({
  id: 'key-import',
  title: 'Key material was imported',
  level: 'low',
  attack: ['T1486'],
  why: 'Whoever brings a key in knows it: all that it will protect can be read outside. Under a name that is in use already, programs go over to it by themselves.',
  falsePositives: ['A move from another key store, or a restored backup: it was planned, and has its reason.'],
  whatToDo:
    'Ask the actor where the key material comes from, and who else has it. If nobody knows, disable the key before anything is encrypted with it.',
  actions: ['kms_key.import', 'kms_key.import_version'],
  parameters: {},
  sees(seen) {
    const { entry } = seen
    if (!mayBeDone(entry)) return undefined
    const isVersion = entry.action === 'kms_key.import_version'
    const isReused = hasFlag(entry.details, 'slug_reused')
    return {
      // A new key harms nobody until it is used; one that takes another's place is used at once.
      level: isVersion || isReused ? 'medium' : 'low',
      subject: keyAndActor(seen),
      evidence: [entry.eventID],
      says: `${byWhom(seen)} imported ${what(seen, isVersion)}${isReused ? ' under the name of a destroyed key' : ''}, ${forWhatReason(seen)}`,
    }
  },
  examples: [
    {
      says: 'a new key',
      findings: 1,
      levels: ['low'],
      steps: [{ action: 'kms_key.import', with: { details: { form: 'wrapped' } } }],
    },
    {
      says: 'a version of a key that is there',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'kms_key.import_version', with: { keyVersion: 2, details: { form: 'raw' } } }],
    },
    {
      says: 'a key under the name of a destroyed one',
      findings: 1,
      levels: ['medium'],
      steps: [{ action: 'kms_key.import', with: { details: { flags: ['slug_reused'] } } }],
    },
    {
      says: 'a crash in between: it may have been imported',
      findings: 1,
      steps: [{ action: 'kms_key.import', with: { outcome: 'unknown', details: { recovered: true } } }],
    },
    {
      says: 'refused, or only about to be',
      findings: 0,
      steps: [
        { action: 'kms_key.import', with: { outcome: 'failure' } },
        { action: 'kms_key.import', with: { phase: 'intent', outcome: 'pending' } },
      ],
    },
    {
      says: 'made here',
      findings: 0,
      steps: [{ action: 'kms_key.create' }],
    },
  ],
})

function what({ entry, keyName }: Seen, isVersion: boolean): string {
  const form = entry.details?.form
  const as = form === undefined ? '' : ` (${word(form)})`
  const version = entry.keyVersion === undefined ? 'a version' : `version ${word(entry.keyVersion)}`
  return isVersion ? `${version} of key ${word(keyName)}${as}` : `key ${word(keyName)}${as}`
}
