/** `keytrail init`: makes a keystore and its trail. */
import { KmsError } from '../model/errors.ts'
import { report } from './answer.ts'
import type { Command } from './command.ts'
import { closingAfter, foundIn, homeOf, openHome, openingOf } from './home.ts'
import { opening } from './options.ts'
import { say } from './output.ts'
import { makeRootKey, refuseInside, rootKeyOf } from './root-key.ts'

export const init: Command = {
  verb: 'init',
  operands: '',
  summary: 'make a keystore and its trail',
  details: `Makes DIR/keys and DIR/audit. The keys are sealed by a passphrase, or by the root key in
--root-key-file, which is made (0600) if it is not there: keep it outside DIR/keys, and a copy
of it elsewhere, for without it the keys are lost. Prints the key that verifies the trail.`,
  examples: ['keytrail init', 'keytrail init --dir /srv/kms --root-key-file /etc/keytrail/root.key'],
  options: opening,
  async run(line) {
    const home = homeOf(line)
    const found = await foundIn(home)
    if (found.keystore && found.trail)
      throw new KmsError('INVALID_INPUT', `${home.folder} holds a keystore and its trail already: nothing was changed`)
    const rootKey = await rootKeyOf(line, found.keystore ? 'existing' : 'new')
    const { rootKeyFile } = rootKey
    if (rootKeyFile !== undefined) refuseInside(home.keys, rootKeyFile)
    const madeRootKey = !found.keystore && rootKeyFile !== undefined && (await makeRootKey(rootKeyFile))
    const { kms, local, trail } = await openHome(home, { ...openingOf(line), rootKey })
    const { vkey, origin } = trail
    const warnings = [...local.warnings, ...(trail.facts.warnings ?? [])]
    // The trail begins with who made it, and when.
    await closingAfter(kms, kms.listKeys())

    for (const warning of new Set(warnings)) say(`warning: ${warning}`)
    if (madeRootKey) say(`made the root key ${rootKeyFile}: keep a copy elsewhere, without it the keys are lost`)
    await report(line, { output: { ...home, origin, vkey, rootKeyFile }, text: vkey })
    say(`made ${home.keys} and ${home.audit}; keep a copy of the vkey elsewhere, for audit verify --vkey`)
    say(`next: keytrail keys create orders --dir ${home.folder}`)
    return 0
  },
}
