/** `keytrail keys …`: the life of a key. */
import type { KmsClient } from '../client.ts'
import { runRotation } from '../integrations/rotation/run.ts'
import type { Key, KeyType } from '../model/key.ts'
import { visible } from '../sinks/render.ts'
import { report } from './answer.ts'
import { type Command, type CommandLine, type ExitCode, usageError } from './command.ts'
import { factsOfFailure, failureLine } from './failure.ts'
import { openingOf, withKeys } from './home.ts'
import { factsOf, keyTable, printKey } from './key-view.ts'
import { type OptionName, opening } from './options.ts'
import { say } from './output.ts'
import { pairsOf } from './pairs.ts'

const create: Command = {
  verb: 'keys create',
  operands: '[SLUG]',
  summary: 'make a key',
  details: `SLUG is the name to call it by: small letters, digits and hyphens; random if left out.
Types: aes128-gcm96 aes256-gcm96 chacha20-poly1305 xchacha20-poly1305 xaes256-gcm (encrypt) ·
rsa-2048 rsa-3072 rsa-4096 (encrypt and sign) · ed25519 ecdsa-p256 ecdsa-p384 ecdsa-p521
ecdsa-secp256k1 ml-dsa-44 ml-dsa-65 ml-dsa-87 (sign) · hmac hmac-sha256 hmac-sha384 hmac-sha512
(hmac). Type, name, description, labels and --exportable cannot be changed later. The slug of a
destroyed key is refused without --reuse-slug.`,
  examples: [
    'keytrail keys create orders',
    'keytrail keys create releases --type ed25519',
    'keytrail keys create backup --rotation-days 90',
  ],
  options: ['type', 'name', 'description', 'label', 'exportable', 'rotation-days', 'reuse-slug', ...opening],
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
        ...(line.flag('reuse-slug') && { reuseSlug: true }),
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
of KEY, every key whose automatic rotation is due is rotated as kms.rotate.scheduled, once however
late: run it every hour, beside keys destroy --due, which destroys what is due for that. Two at
once are safe. Exits with 1 if one of them failed. A version of the aes*-gcm96 and chacha20 types
seals up to 0.9 × 2^32 messages: keys show tells how many, and from 0.8 × 2^32 on each entry has
the flag usage_limit_near. Rotate such a key then, whether it is due or not.`,
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
  const { context } = openingOf(line)
  const { rotated, overtaken, ahead, ...run } = await withKeys(line, async (kms) => {
    const run = await runRotation(kms, { context, destroyDueKeys: false })
    // No key was touched: why says it all.
    if (run.error !== undefined && run.rotated.length + run.failed.length === 0) throw run.error
    return run
  })
  const failed = [...run.failed.map(({ error }) => error), ...(run.error === undefined ? [] : [run.error])]
  await report(line, {
    output: { rotated, failed: failed.map(factsOfFailure) },
    text: keyTable(rotated.map(({ key }) => key)),
  })
  if (rotated.length + overtaken.length + failed.length === 0) say('no key is due')
  for (const { slug } of ahead)
    say(
      `${visible(slug)}: its newest version is dated ahead of the clock; keys rotate sets right what waits for that date`,
    )
  for (const error of failed) say(failureLine(error))
  return failed.length === 0 ? 0 : 1
}

const destroy: Command = {
  verb: 'keys destroy',
  operands: '',
  summary: 'destroy the keys whose deletion is due',
  details: `With --due, every key whose pending days are over is destroyed, with all its versions and what
only they open: run it every hour. Until then, also after its day, cancel-deletion takes a key
back. Backups made before still hold it. Exits with 1 if one of them failed.`,
  examples: ['keytrail keys destroy --due'],
  options: ['due', ...opening],
  async run(line) {
    if (!line.flag('due'))
      throw usageError("'--due' is missing: a key is destroyed on its day (keys delete), not by name")
    const settled = await withKeys(line, (kms) => kms.destroyDueKeys())
    const failed = settled.filter((one) => !one.ok)
    const destroyed = settled.filter((one) => one.ok)
    const output = { destroyed, failed: failed.map(({ error }) => factsOfFailure(error)) }
    await report(line, { output, text: keyTable(destroyed.map(({ key }) => key)) })
    if (settled.length === 0) say('no key is due')
    if (destroyed.some(({ flags }) => flags?.includes('old_generations_remain')))
      say('older files of the keystore could not be removed yet: they still hold what was destroyed')
    for (const { error } of failed) say(failureLine(error))
    return failed.length === 0 ? 0 : 1
  },
}

const minVersion: Command = {
  verb: 'keys min-version',
  operands: 'KEY N',
  summary: 'stop the use of versions below N',
  details: `They decrypt, verify and sign nothing until N is lowered again; 1 lets all be used. They can
still be exported, and their public keys read.`,
  examples: ['keytrail keys min-version orders 3'],
  options: opening,
  async run(line) {
    const [key = '', text = ''] = line.operands
    if (!/^[1-9]\d{0,9}$/.test(text)) throw usageError('N must be a version: 1, 2, 3 …')
    const input = { key, minDecryptionVersion: Number(text) }
    return printKey(line, await withKeys(line, (kms) => kms.updateMinDecryptionVersion(input)))
  },
}

const publicKey: Command = {
  verb: 'keys public-key',
  operands: 'KEY',
  summary: 'print the public key',
  details: 'PEM, or base64 of the 32 bytes for Ed25519; with --json also as SPKI and JWK.',
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
  destroy,
  minVersion,
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
