/** How the command line shows keys. */
import type { Key } from '../model/key.ts'
import { visible } from '../sinks/render.ts'
import { report } from './answer.ts'
import type { CommandLine, ExitCode } from './command.ts'
import { aligned, table } from './table.ts'

export async function printKey(
  line: CommandLine,
  output: { readonly key: Key; readonly eventID: string },
): Promise<ExitCode> {
  await report(line, { output, text: keyTable([output.key]) })
  return 0
}

export function keyTable(keys: readonly Key[]): string {
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

function importedText({ imported, allowRotation }: Key): string | undefined {
  if (imported !== true) return undefined
  return allowRotation === true ? 'yes, newer versions allowed' : 'yes, without newer versions'
}

export function factsOf(key: Key): string {
  const { keyRotationEnabled, rotationPeriodInDays, nextRotationAt, minDecryptionVersion: least } = key
  const rotation = keyRotationEnabled ? `every ${rotationPeriodInDays} days, next ${nextRotationAt}` : 'by hand'
  const versions = key.versions.map(({ version, createdAt }) => `v${version} ${createdAt}`).join(', ')
  const counted = key.versions.filter(({ messages }) => messages !== undefined)
  const messages = counted.map((one) => `v${one.version} ${one.messages}`).join(', ')
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
    ['imported', importedText(key)],
    ['versions', versions],
    ['messages', counted.length === 0 ? undefined : messages],
    ['min version', least === undefined ? undefined : `v${least}: older ones are not used`],
    ['created', key.createdAt],
    ['updated', key.updatedAt],
  ] as const
  return aligned(facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, visible(value)]])))
}
