/** `keytrail audit pin`: keeps a checkpoint of a trail elsewhere. Needs no key and no lock. */
import { hex } from '../crypto/bytes.ts'
import { visible } from '../sinks/render.ts'
import { pinTrail } from '../trail/anchors/pin-trail.ts'
import { report } from './answer.ts'
import { type Command, usageError } from './command.ts'
import { homeOf } from './home.ts'

export const pin: Command = {
  verb: 'audit pin',
  operands: '[TRAIL]',
  summary: 'keep a checkpoint of a trail, to hold it to later',
  details: `TRAIL is one trail's folder, or its parent; DIR/audit if left out. Writes the published checkpoint,
a few lines of text, to --out: put it where whoever can change the trail cannot. audit verify
--pin FILE then finds a trail that was taken back, or whose history was rewritten. A pin that
is there gives way to a larger checkpoint of the same trail only.`,
  examples: ['keytrail audit pin --out /mnt/elsewhere/audit.pin', 'keytrail audit pin /srv/audit -o audit.pin'],
  options: ['out', 'vkey', 'dir'],
  async run(line) {
    const out = line.text('out')
    if (out === undefined) throw usageError("'--out' is missing: the file for the pin")
    const vkey = line.list('vkey')
    const trail = line.operands[0] ?? homeOf(line).audit
    const { root, ...pinned } = await pinTrail(trail, { out, ...(vkey.length > 0 && { vkey }) })
    const text = `pinned ${pinned.size} entries of ${visible(pinned.origin)}, root ${hex(root).slice(0, 16)}…, in ${visible(out)}`
    await report(line, { output: { ...pinned, root: hex(root), out }, text })
    return 0
  },
}
