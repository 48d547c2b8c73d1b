// Who may do what with which key. The policy runs inside the audit, so whom it refuses is on record too, with the rule; it
// sees the resolved key, so a rule on a slug holds even when the caller names the key by its identity.
// prints: kms.decrypt failure ACCESS_DENIED payroll by user:intern, rule no-interns
// prints: kms.decrypt failure ACCESS_DENIED payroll by user:guest, no rule allows it
// prints: stricter rules would have refused 1 of 5: kms.decrypt payroll by serviceAccount:payroll
import { KmsClient } from 'keytrail'
import { accessPolicy, dryRun } from 'keytrail/access'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

const rules = [
  { id: 'admins', effect: 'allow', actors: ['user:admin'], actions: ['kms:FullAccess'], keys: ['*'] },
  {
    id: 'payroll',
    effect: 'allow',
    actors: ['serviceAccount:payroll', 'user:intern'],
    actions: ['kms:Encrypt', 'kms:Decrypt'],
    keys: ['payroll'],
  },
  { id: 'no-interns', effect: 'deny', actors: ['user:intern'], actions: ['kms:Decrypt'], keys: ['payroll'] },
  // What rotateDueKeys needs, called hourly by kms.with({ actor: { type: 'system', id: 'scheduler' } }).
  {
    id: 'scheduler',
    effect: 'allow',
    actors: ['system:scheduler'],
    actions: ['kms:ReadAccess', 'kms:RotateScheduled'],
    keys: ['*'],
  },
]

const provider = memoryKms()
const sink = memorySink()
const kms = new KmsClient({
  provider,
  audit: { required: [sink] },
  middleware: [accessPolicy({ rules, provider })],
})
const by = (type, id) => kms.with({ actor: { type, id } })

const { key } = await by('user', 'admin').createKey({ slug: 'payroll' })
const payroll = by('serviceAccount', 'payroll')
const { ciphertext } = await payroll.encrypt({ key: 'payroll', plaintext: new Uint8Array([1, 2, 3]) })
await payroll.decrypt({ key: 'payroll', ciphertext })

for (const who of ['intern', 'guest']) {
  await by('user', who)
    .decrypt({ key: key.identity, ciphertext })
    .catch((error) => console.error(`refused: ${error.code}`))
  const { action, outcome, error, keySlug, actor, details } = sink.entries.at(-1)
  const why = details?.rule === undefined ? 'no rule allows it' : `rule ${details.rule}`
  console.log(`${action} ${outcome} ${error} ${keySlug} by ${actor.type}:${actor.id}, ${why}`)
}

// Before rules are made stricter: what would they have refused of what was done? With a trail, readTrail('./audit').
const stricter = [...rules, { ...rules[2], id: 'nobody', actors: ['serviceAccount:*'] }]
const { calls, refused } = await dryRun(stricter, sink.entries)
const [first] = refused.groups
console.log(
  `stricter rules would have refused ${refused.calls} of ${calls}: ${first.action} ${first.key} by ${first.actor}`,
)
await kms.close()
