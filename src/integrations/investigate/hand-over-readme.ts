/** The page that goes with a story that is handed over. */
import { counted } from '../../detect/words.ts'

export interface HandedOverFacts {
  readonly entries: number
  readonly proven: number
  readonly unproven: readonly string[]
  readonly cut: boolean
  readonly vkeys: readonly string[]
}

export function handOverReadme({ entries, proven, unproven, cut, vkeys }: HandedOverFacts): string {
  const keys = vkeys.map((vkey) => `    ${vkey}`)
  const missing =
    unproven.length === 0
      ? []
      : [
          `${counted(unproven.length, 'entry has', 'entries have')} no receipt: no published checkpoint covered them yet.`,
          '',
        ]
  return [
    `${counted(entries, 'entry', 'entries')} of an audit trail, ${counted(proven, 'receipt')}.`,
    ...(cut ? ['There are more entries than were asked for: the story ends early.'] : []),
    '',
    'timeline.txt      what happened, one entry a line, in the order of the trail',
    'timeline.jsonl    the same entries, each line exactly as it was written',
    'receipts/         one receipt an entry (c2sp.org/tlog-proof), with the entry in it',
    'SHA256SUMS        of all these files: sha256sum -c SHA256SUMS',
    '',
    ...missing,
    'A receipt proves that its entry stood at its place in the trail when the checkpoint in it',
    'was signed. It does not prove that the trail holds no further entries, nor that the story is',
    'complete: for that, verify the whole trail (keytrail audit verify).',
    '',
    'To check a receipt, offline:',
    '',
    "    keytrail audit check-proof receipts/FILE --vkey 'VKEY'",
    '',
    'VKEY is the key of the trail. Ask its owner for it by another way than this folder: whoever',
    'could change the folder could change a key in it. The receipts here say that they were',
    'signed by',
    '',
    ...keys,
    '',
    'Other programs that read C2SP tlog-proof files can check them too: the leaf is the SHA-256 of',
    'a zero byte and the bytes of the "extra" line (base64), the tree is that of RFC 6962, the',
    'checkpoint is a signed note (c2sp.org/tlog-checkpoint).',
    '',
  ].join('\n')
}
