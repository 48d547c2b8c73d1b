/** `keytrail audit rotate-signer`: another key signs the trail from here on. */
import { KmsError } from '../model/errors.ts'
import { report } from './answer.ts'
import type { Command, CommandLine } from './command.ts'
import { closingAfter, foundIn, homeOf, openHome, openingOf } from './home.ts'
import { opening } from './options.ts'
import { rootKeyOf } from './root-key.ts'

export const rotateSigner: Command = {
  verb: 'audit rotate-signer',
  operands: '',
  summary: 'have another key sign the trail from here on',
  details: `Makes a new signing key in the keystore. The old one signs an entry that names it, and the trail is
signed by the new one from the next batch on. The vkey that is printed is for whoever verifies;
the one that they have goes on verifying the whole trail.`,
  examples: ['keytrail audit rotate-signer --reason yearly'],
  options: opening,
  async run(line) {
    const output = await rotated(line)
    await report(line, { output, text: output.vkey })
    return 0
  },
}

interface Rotated {
  readonly origin: string
  readonly vkey: string
  readonly previousVkey: string
}

async function rotated(line: CommandLine): Promise<Rotated> {
  const home = homeOf(line)
  const found = await foundIn(home)
  if (!found.keystore || !found.trail)
    throw new KmsError('INVALID_INPUT', `${home.folder} does not hold keys and their trail: give --dir`)
  const { kms, local, trail } = await openHome(home, {
    ...openingOf(line),
    rootKey: await rootKeyOf(line, 'existing'),
  })
  const rotating = async (): Promise<Rotated> => {
    await kms.rotateAuditSigner()
    // Read only now: a handover that was left over from an earlier call took place with the first entry.
    const { origin, vkey: previousVkey } = trail
    await trail.rotateSigner(local.auditSigner())
    return { origin, vkey: trail.vkey, previousVkey }
  }
  return closingAfter(kms, rotating())
}
