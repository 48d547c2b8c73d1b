/** `keytrail keys import-transit`: a key of Vault's or OpenBao's transit engine moves in. */
import { fromUtf8, wipe } from '../crypto/bytes.ts'
import { importTransitBackup } from '../integrations/vault-backup/import.ts'
import { report } from './answer.ts'
import type { Command } from './command.ts'
import { withKeys } from './home.ts'
import { readInput } from './input.ts'
import { keyTable } from './key-view.ts'
import { opening } from './options.ts'
import { say } from './output.ts'
import { pairsOf } from './pairs.ts'

/** As `readTransitBackup` has it. */
const largestBackup = 64 * 1024 * 1024

export const importTransit: Command = {
  verb: 'keys import-transit',
  operands: 'SLUG [FILE]',
  summary: "move a key of Vault's or OpenBao's transit engine in, with all of its versions",
  details: `FILE, or standard input, holds what transit/backup/NAME answers as "backup": every version in the
clear, so remove it afterwards. The key decrypts, verifies and re-encrypts vault:vN: values, and
makes none. What was cut off is taken up by the same command again.`,
  examples: [
    'vault read -field=backup transit/backup/orders | keytrail keys import-transit orders-vault',
    'keytrail keys import-transit orders-vault orders.backup --reason moving',
  ],
  options: ['exportable', 'name', 'description', 'label', ...opening],
  async run(line) {
    const [slug = '', file] = line.operands
    const name = line.text('name')
    const description = line.text('description')
    const labels = pairsOf(line, 'label')
    const bytes = await readInput(file, largestBackup)
    // What is no text is refused by name further on.
    const backup = (fromUtf8(bytes) ?? '').trimEnd()
    wipe(bytes)
    const output = await withKeys(line, (kms) =>
      importTransitBackup(kms, {
        backup,
        slug,
        ...(name !== undefined && { name }),
        ...(description !== undefined && { description }),
        ...(labels && { labels }),
        ...(line.flag('exportable') && { exportAllowed: true }),
      }),
    )
    await report(line, { output, text: keyTable([output.key]) })
    say(`versions imported: ${output.imported.length}, here before: ${output.existing.length}`)
    return 0
  },
}
