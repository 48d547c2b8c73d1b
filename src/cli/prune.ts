/** `keytrail audit prune`: drops old entries, and says so in the trail. */
import { KmsError } from '../model/errors.ts'
import type { Pruned, PruneRequest } from '../trail/retention/prune.ts'
import { report } from './answer.ts'
import { type Command, type CommandLine, usageError } from './command.ts'
import { closingAfter, foundIn, homeOf, openHome, openingOf } from './home.ts'
import { opening } from './options.ts'
import { say } from './output.ts'
import { rootKeyOf } from './root-key.ts'

export const prune: Command = {
  verb: 'audit prune',
  operands: '',
  summary: 'drop old entries of a trail, and keep their hashes',
  details: `Drops whole segment files whose entries are all older than --older-than, never the last one, and
never below the minimum that the trail was made with. An entry audit.pruned tells what was
dropped; what remains, and every proof made before, still verifies. With --archive the lines
go into a file (gzip when its name ends in .gz) that audit query and audit verify read.`,
  examples: [
    'keytrail audit prune --older-than 400d --archive /backup/2025.jsonl.gz --reason retention',
    'keytrail audit prune --older-than 400d --dry-run',
  ],
  options: ['older-than', 'archive', 'dry-run', ...opening],
  async run(line) {
    const request = requestOf(line)
    const output = await pruned(line, request)
    await report(line, { output, text: describePruned(output, request) })
    if (output.archive === undefined && output.segments > 0 && !output.dryRun)
      say('no archive was made: the entries are gone')
    return 0
  },
}

function requestOf(line: CommandLine): PruneRequest {
  const olderThan = line.text('older-than')
  if (olderThan === undefined) throw usageError("'--older-than' is missing, such as 400d")
  if (!/^\d{1,6}d$/.test(olderThan)) throw usageError("option '--older-than' takes days, such as 400d")
  const archive = line.text('archive')
  const code = line.text('reason')
  const ticket = line.text('ticket')
  return {
    olderThan,
    dryRun: line.flag('dry-run'),
    ...(archive !== undefined && { archive }),
    ...(code !== undefined && { reason: { code, ...(ticket !== undefined && { ticket }) } }),
  }
}

/** Needs the keystore: its key signs the entry. */
async function pruned(line: CommandLine, request: PruneRequest): Promise<Pruned> {
  const home = homeOf(line)
  const found = await foundIn(home)
  if (!found.keystore || !found.trail)
    throw new KmsError('INVALID_INPUT', `${home.folder} does not hold keys and their trail: give --dir`)
  const { kms, trail } = await openHome(home, { ...openingOf(line), rootKey: await rootKeyOf(line, 'existing') })
  return closingAfter(
    kms,
    kms.ready().then(() => trail.prune(request)),
  )
}

function describePruned(output: Pruned, { olderThan }: PruneRequest): string {
  const { entries, prunedFrom, prunedBelow, segments, bytes, archive, archiveSha256, dryRun } = output
  if (segments === 0) return `nothing to drop: no whole segment but the last is older than ${olderThan}`
  const files = segments === 1 ? '1 segment' : `${segments} segments`
  const what = `${entries} entries, ${prunedFrom} to ${prunedBelow - 1n}, in ${files} of ${bytes} bytes`
  const dropped = dryRun ? `would drop ${what}` : `dropped ${what}`
  return archive === undefined ? dropped : `${dropped}\narchived in ${archive}\nSHA-256 ${archiveSha256}`
}
