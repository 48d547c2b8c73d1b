/** `keytrail keys rewrap-root`: the keystore under another root key. */
import { report } from './answer.ts'
import type { Command } from './command.ts'
import { homeOf, withKeys } from './home.ts'
import { opening } from './options.ts'
import { say } from './output.ts'
import { makeRootKey, newRootKeyOf, refuseInside } from './root-key.ts'

export const rewrapRoot: Command = {
  verb: 'keys rewrap-root',
  operands: '',
  summary: 'seal the keystore under another passphrase or root key',
  details: `Asks for the new passphrase, twice, unless a file is given. The keys themselves stay as they
are. From then on the old passphrase or root key opens the keystore no longer; copies and
backups made before still need it: keep it as long as you keep them.`,
  examples: [
    'keytrail keys rewrap-root',
    'keytrail keys rewrap-root --root-key-file old.key --new-root-key-file new.key',
  ],
  options: ['new-passphrase-file', 'new-root-key-file', ...opening],
  async run(line) {
    const { keys } = homeOf(line)
    const input = await newRootKeyOf(line)
    const { rootKeyFile } = input
    if (rootKeyFile !== undefined) refuseInside(keys, rootKeyFile)
    const isMade = rootKeyFile !== undefined && (await makeRootKey(rootKeyFile))
    if (isMade) say(`made the root key ${rootKeyFile}: keep a copy elsewhere, without it the keys are lost`)
    const output = await withKeys(line, (kms) => kms.rewrapRootKey(input))
    await report(line, { output, text: `sealed anew as generation ${output.generation}` })
    say('backups made before still need the old passphrase or root key')
    return 0
  },
}
