/** `keytrail backup` and `keytrail restore`: keystore and trail, copied together and put back together. */
import { type BackupTrail, backup as makeBackup, restore as putBack } from '../backup/index.ts'
import { toBase64 } from '../crypto/bytes.ts'
import { report } from './answer.ts'
import { type Command, usageError } from './command.ts'
import { homeAt } from './home.ts'
import { say } from './output.ts'
import { rootKeyOf } from './root-key.ts'

export const backup: Command = {
  verb: 'backup',
  operands: 'DIR OUT',
  summary: 'copy the keys and their trail, while they are in use',
  details: `Copies DIR/keys and DIR/audit to the new folder OUT, as they are at one moment, and verifies the
copy. No root key is needed: the keys stay sealed, and a restore needs the root key or passphrase
that they have now. Keep backups where the keys' owner cannot change them.`,
  examples: ['keytrail backup /srv/kms /mnt/backup/2026-11-22'],
  options: ['vkey'],
  async run(line) {
    const [dir = '', out = ''] = line.operands
    const vkey = line.list('vkey')
    const { keys, audit } = homeAt(dir)
    const manifest = await makeBackup({ keys, audit, out, ...(vkey.length > 0 && { vkey }) })
    const output = { ...manifest, out, trails: manifest.trails.map(factsOf) }
    await report(line, { output, text: manifest.trails.map((trail) => summaryOf(trail)).join('\n') })
    say(
      `copied keystore generation ${manifest.generation} and ${manifest.files.length - 1} files of the trail to ${out}`,
    )
    return 0
  },
}

export const restore: Command = {
  verb: 'restore',
  operands: 'OUT DIR',
  summary: 'put a backup back, and say so in the trail',
  details: `Makes DIR/keys and DIR/audit from the backup OUT; neither may be there yet. What came after the
backup is given up: entries, and key versions with all that they sealed. The trail says so, with
REASON, before its first use. Needs the root key or passphrase that the keys had at the backup.`,
  examples: ['keytrail restore /mnt/backup/2026-11-22 /srv/kms --accept-rollback disk-lost --ticket OPS-17'],
  options: ['accept-rollback', 'ticket', 'vkey', 'passphrase-file', 'root-key-file', 'allow-filesystem'],
  async run(line) {
    const [from = '', dir = ''] = line.operands
    const code = line.text('accept-rollback')
    if (code === undefined)
      throw usageError("what came after the backup is given up: say why with '--accept-rollback REASON'")
    const ticket = line.text('ticket')
    const vkey = line.list('vkey')
    const { keys, audit } = homeAt(dir)
    const manifest = await putBack({
      from,
      keys,
      audit,
      ...(await rootKeyOf(line, 'existing')),
      reason: { code, ...(ticket !== undefined && { ticket }) },
      allowFilesystem: line.list('allow-filesystem'),
      ...(vkey.length > 0 && { vkey }),
    })
    const output = { keys, audit, createdAt: manifest.createdAt, generation: manifest.generation }
    await report(line, { output, text: `${keys} and ${audit} are as they were at ${manifest.createdAt}` })
    if (vkey.length === 0) say('the trail was verified with its own key only: give --vkey to know whose it is')
    return 0
  },
}

function factsOf({ size, root, ...trail }: BackupTrail): object {
  return { ...trail, size: String(size), root: toBase64(root) }
}

function summaryOf({ instance, origin, size }: BackupTrail): string {
  return `${instance}: ${size} entries of ${origin}, valid`
}
