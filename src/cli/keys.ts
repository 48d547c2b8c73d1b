/** `keytrail keys …`: the life of a key. */
import type { KmsClient } from '../client.ts'
import type { Key, KeyType } from '../model/key.ts'
import type { KeyMaterialForm } from '../model/operation.ts'
import { visible } from '../sinks/render.ts'
import { answer, report } from './answer.ts'
import { type Command, type CommandLine, type ExitCode, usageError } from './command.ts'
import { factsOfFailure, failureLine } from './failure.ts'
import { withKeys } from './home.ts'
import { type OptionName, opening } from './options.ts'
import { say, toTerminal } from './output.ts'
import { pairsOf } from './pairs.ts'
import { aligned, table } from './table.ts'

const create: Command = {
  verb: 'keys create',
  operands: '[SLUG]',
  summary: 'make a key',
  details: `SLUG is the name to call it by: small letters, digits and hyphens; random if left out.
Types: aes128-gcm96 aes256-gcm96 chacha20-poly1305 xaes256-gcm xchacha20-poly1305 (encrypt) ·
ed25519 ecdsa-p256 ecdsa-p384 ecdsa-p521 ecdsa-secp256k1 (sign) · hmac hmac-sha256 hmac-sha384
hmac-sha512 (hmac). Type, name, description, labels and --exportable cannot be changed later.`,
  examples: [
    'keytrail keys create orders',
    'keytrail keys create releases --type ed25519',
    'keytrail keys create backup --rotation-days 90',
  ],
  options: ['type', 'name', 'description', 'label', 'exportable', 'rotation-days', ...opening],
  async run(line) {
    const [slug] = line.operands
    const keyType = line.text('type')
    const name = line.text('name')
    const description = line.text('description')
    const labels = pairsOf(line, 'label')
    const rotationPeriodInDays = line.count('rotation-days')
    const output = await withKeys(line, (kms) =>
      kms.createKey({
        ...(slug !== undefined && { slug }),
        // The API refuses a type that it does not know, and says which there are.
        ...(keyType !== undefined && { keyType: keyType as KeyType }),
        ...(name !== undefined && { name }),
        ...(description !== undefined && { description }),
        ...(labels && { labels }),
        ...(line.flag('exportable') && { exportAllowed: true }),
        ...(rotationPeriodInDays !== undefined && { keyRotationEnabled: true, rotationPeriodInDays }),
      }),
    )
    return printKey(line, output)
  },
}

const list: Command = {
  verb: 'keys list',
  operands: '',
  summary: 'list the keys',
  details: 'Of one region and project: those of --region and --project, or those without.',
  examples: ['keytrail keys list', "keytrail keys list --json | jq -r '.keys[].slug'"],
  options: opening,
  async run(line) {
    const output = await withKeys(line, (kms) => kms.listKeys())
    await report(line, { output, text: keyTable(output.keys) })
    return 0
  },
}

const show: Command = {
  verb: 'keys show',
  operands: 'KEY',
  summary: 'all about one key',
  details: 'KEY is an identity (kms-…) or a slug, here as everywhere.',
  examples: ['keytrail keys show orders'],
  options: opening,
  async run(line) {
    const [key = ''] = line.operands
    const output = await withKeys(line, (kms) => kms.describeKey({ key }))
    await report(line, { output, text: factsOf(output.key) })
    return 0
  },
}

const rotate: Command = {
  verb: 'keys rotate',
  operands: '[KEY]',
  summary: 'make a new version of a key, or of all that are due',
  details: `New operations use the new version; old ones stay for decrypt and verify. With --due instead
of KEY, every key whose automatic rotation is due is rotated as kms.rotate.scheduled: run it
every hour. Two at once are safe. Exits with 1 if one of them failed.`,
  examples: ['keytrail keys rotate orders', 'keytrail keys rotate --due'],
  options: ['due', 'expect-version', ...opening],
  async run(line) {
    const [key] = line.operands
    const expectLatestVersion = line.count('expect-version')
    if (line.flag('due')) {
      if (key !== undefined || expectLatestVersion !== undefined) throw usageError("'--due' stands alone, without KEY")
      return rotateDue(line)
    }
    if (key === undefined) throw usageError('KEY is missing; or give --due')
    const input = { key, ...(expectLatestVersion !== undefined && { expectLatestVersion }) }
    return printKey(line, await withKeys(line, (kms) => kms.rotate(input)))
  },
}

async function rotateDue(line: CommandLine): Promise<ExitCode> {
  const settled = await withKeys(line, (kms) => kms.rotateDueKeys())
  const failed = settled.filter((one) => !one.ok)
  const rotated = settled.filter((one) => one.ok)
  const output = { rotated, failed: failed.map(({ error }) => factsOfFailure(error)) }
  await report(line, { output, text: keyTable(rotated.map(({ key }) => key)) })
  if (settled.length === 0) say('no key is due')
  for (const { error } of failed) say(failureLine(error))
  return failed.length === 0 ? 0 : 1
}

const exportKey: Command = {
  verb: 'keys export',
  operands: 'KEY',
  summary: 'give key material out (break-glass)',
  details: `Needs a key made with --exportable, and a --reason, which stands in the entry: every export
is there to be reviewed. Bytes into a pipe or into --out FILE (0600); never onto a terminal.`,
  examples: ['keytrail keys export backup --reason disaster-recovery --ticket OPS-17 --out backup.key'],
  options: ['key-version', 'form', 'out', 'text', ...opening],
  async run(line) {
    const [key = ''] = line.operands
    if (line.text('reason') === undefined) throw usageError("an export needs '--reason CODE'")
    if (toTerminal() && line.text('out') === undefined)
      throw usageError('key material is not shown on a terminal: give --out FILE, or a pipe')
    const keyVersion = line.count('key-version')
    const form = line.text('form')
    const output = await withKeys(line, (kms) =>
      kms.export({
        key,
        ...(keyVersion !== undefined && { keyVersion }),
        // The API refuses a form that it does not know.
        ...(form !== undefined && { form: form as KeyMaterialForm }),
      }),
    )
    return answer(line, { output, name: 'keyMaterial', for: 'secret' })
  },
}

const publicKey: Command = {
  verb: 'keys public-key',
  operands: 'KEY',
  summary: 'print the public key',
  details: 'PEM for ECDSA, base64 of the 32 bytes for Ed25519; with --json also as SPKI.',
  examples: ['keytrail keys public-key releases'],
  options: ['key-version', ...opening],
  async run(line) {
    const [key = ''] = line.operands
    const keyVersion = line.count('key-version')
    const input = { key, ...(keyVersion !== undefined && { keyVersion }) }
    const output = await withKeys(line, (kms) => kms.getPublicKey(input))
    await report(line, { output, text: output.publicKey.trimEnd() })
    return 0
  },
}

const enable = change({
  verb: 'keys enable',
  summary: 'let a disabled key be used again',
  details: '',
  options: [],
  run: (kms, key) => kms.enableKey({ key }),
})

const disable = change({
  verb: 'keys disable',
  summary: 'stop all use of a key, decryption too',
  details: 'Until it is enabled again.',
  options: [],
  run: (kms, key) => kms.disableKey({ key }),
})

const remove = change({
  verb: 'keys delete',
  summary: 'schedule the deletion of a key',
  details: 'The key cannot be used from now on; until the day comes, cancel-deletion takes it back.',
  options: ['pending-days'],
  run: (kms, key, line) => {
    const pendingWindowInDays = line.count('pending-days')
    return kms.scheduleKeyDeletion({ key, ...(pendingWindowInDays !== undefined && { pendingWindowInDays }) })
  },
})

const cancelDeletion = change({
  verb: 'keys cancel-deletion',
  summary: 'take a scheduled deletion back',
  details: 'The key is as it was before: active, or disabled.',
  options: [],
  run: (kms, key) => kms.cancelKeyDeletion({ key }),
})

export const keyCommands: readonly Command[] = [
  create,
  list,
  show,
  rotate,
  enable,
  disable,
  remove,
  cancelDeletion,
  exportKey,
  publicKey,
]

interface Change {
  readonly verb: string
  readonly summary: string
  readonly details: string
  readonly options: readonly OptionName[]
  readonly run: (
    kms: KmsClient,
    key: string,
    line: CommandLine,
  ) => Promise<{ readonly key: Key; readonly eventID: string }>
}

/** A verb that changes one key and prints it. */
function change({ verb, summary, details, options, run }: Change): Command {
  return {
    verb,
    operands: 'KEY',
    summary,
    details,
    examples: [`keytrail ${verb} orders`],
    options: [...options, ...opening],
    async run(line) {
      const [key = ''] = line.operands
      return printKey(line, await withKeys(line, (kms) => run(kms, key, line)))
    },
  }
}

async function printKey(line: CommandLine, output: { readonly key: Key; readonly eventID: string }): Promise<ExitCode> {
  await report(line, { output, text: keyTable([output.key]) })
  return 0
}

function keyTable(keys: readonly Key[]): string {
  return table(
    [
      { heading: 'slug', cell: ({ slug }) => visible(slug) },
      { heading: 'type', cell: ({ keyType }) => visible(keyType) },
      { heading: 'version', cell: ({ latestVersion }) => `v${latestVersion}` },
      { heading: 'status', cell: statusOf },
      { heading: 'identity', cell: ({ identity }) => visible(identity) },
    ],
    keys,
  )
}

function statusOf({ status, deletionScheduledAt }: Key): string {
  return deletionScheduledAt === undefined ? status : `${status} ${deletionScheduledAt.slice(0, 10)}`
}

function factsOf(key: Key): string {
  const { keyRotationEnabled, rotationPeriodInDays, nextRotationAt } = key
  const rotation = keyRotationEnabled ? `every ${rotationPeriodInDays} days, next ${nextRotationAt}` : 'by hand'
  const versions = key.versions.map(({ version, createdAt }) => `v${version} ${createdAt}`).join(', ')
  const labels = Object.entries(key.labels ?? {}).map(([name, value]) => `${name}=${value}`)
  const facts = [
    ['slug', key.slug],
    ['identity', key.identity],
    ['name', key.name],
    ['description', key.description],
    ['labels', labels.length === 0 ? undefined : labels.join(' ')],
    ['type', key.keyType],
    ['status', statusOf(key)],
    ['region', key.region],
    ['project', key.projectId],
    ['export', key.exportAllowed ? 'allowed' : 'never'],
    ['rotation', rotation],
    ['versions', versions],
    ['created', key.createdAt],
    ['updated', key.updatedAt],
  ] as const
  return aligned(facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, visible(value)]])))
}
