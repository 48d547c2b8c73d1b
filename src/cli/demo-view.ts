/** What the demo shows. */
import type { AuditEntry } from '../model/entry.ts'
import { visible } from '../sinks/render.ts'
import type { TrailEntry } from '../trail/reading/read.ts'
import type { Verdict } from '../trail/verify/verdict.ts'
import { describe } from './audit.ts'
import type { Edit } from './demo-edit.ts'
import type { DemoFile, Played, Step } from './demo-play.ts'
import type { Home } from './home.ts'
import { look } from './output.ts'
import { aligned, table } from './table.ts'

export interface Shown {
  readonly file: DemoFile
  readonly home: Home
  /** Whether the home stays when the demo is over. */
  readonly kept: boolean
  readonly played: Played
  readonly entries: readonly TrailEntry[]
  readonly verdict: Verdict
  readonly edit: Edit
  readonly verdictOnEdited: Verdict
}

export function renderDemo({ file, home, kept, played, entries, verdict, edit, verdictOnEdited }: Shown): string {
  const results = entries.filter(({ entry }) => entry.phase === 'result')
  const intents = entries.length - results.length
  const place = kept ? home.folder : 'a temporary folder'
  const sections = [
    `Real keys in ${visible(place)}, and ${visible(file.name)} (${file.bytes.length.toLocaleString('en-US')} bytes):`,
    stepLines(played.steps.filter(({ outcome }) => outcome === 'success')),
    'Two calls that must be refused, and are:',
    stepLines(played.steps.filter(({ outcome }) => outcome === 'failure')),
    'Each call left its entry in a signed trail, safe on the disk before its result was given out:',
    table(
      [
        { heading: '  #', cell: ({ index }) => String(index).padStart(3) },
        { heading: 'time', cell: ({ entry }) => entry.createdAt.slice(5, 19).replace('T', ' ') },
        { heading: 'action', cell: ({ entry }) => visible(entry.action) },
        { heading: 'key', cell: ({ entry }) => keyOf(entry) },
        { heading: 'actor', cell: ({ entry }) => visible(entry.actor?.id ?? '') },
        { heading: 'outcome', cell: ({ entry }) => outcomeOf(entry) },
      ],
      results,
    ),
    `${intents} more are intents, written before each change, so that a crash hides nothing. The demo's
clock began a day ago and was set to the present, so that a daily rotation fell due.`,
    verdictLines(verdict),
    `Now one byte of a copy is changed: the export was made by ${visible(edit.after)}, it says, not by ${visible(edit.before)}.`,
    verdictLines(verdictOnEdited),
    kept ? keptHint(home) : 'Keep it all to look around: keytrail demo --dir ./demo. Your own keys: keytrail init',
  ]
  return `${sections.join('\n\n')}\n`
}

function stepLines(steps: readonly Step[]): string {
  return aligned(
    steps.map(({ action, outcome, says }) => [
      `  ${mark(outcome === 'success' ? 'good' : 'bad')} ${action}`,
      visible(says),
    ]),
  )
}

function verdictLines(verdict: Verdict): string {
  return `  ${mark(verdict.verdict === 'valid' ? 'good' : 'bad')} ${describe(verdict).replaceAll('\n', '\n  ')}`
}

function keyOf({ keySlug = '', keyVersion }: AuditEntry): string {
  return keyVersion === undefined ? visible(keySlug) : `${visible(keySlug)} v${keyVersion}`
}

function outcomeOf({ outcome, error, valid }: AuditEntry): string {
  if (error !== undefined) return `${outcome}: ${error}`
  return valid === undefined ? outcome : `${outcome}: ${valid ? 'valid' : 'not valid'}`
}

function keptHint({ folder }: Home): string {
  const dir = visible(folder)
  return `Look around:
  keytrail audit query --dir ${dir} --action kms.export
  keytrail audit verify ${dir}/audit-edited
  keytrail keys list --dir ${dir} --root-key-file ${dir}/root.key`
}

function mark(as: 'good' | 'bad'): string {
  const sign = as === 'good' ? '✓' : '✗'
  return look().color === true ? `\u001b[${as === 'good' ? 32 : 31}m${sign}\u001b[0m` : sign
}
