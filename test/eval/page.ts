/** A score as a page of Markdown. */
import { aims, percent, type Score, shortfalls } from './score.ts'

export function pageOf(score: Score, scale: number): string {
  const { seeds, entries, entriesPerSecond, attacks, found, recall, precision, falseAlarmsPerDay, quietPerDay } = score
  const missing = shortfalls(score)
  return [
    `# Detection, seeds ${seeds.join(', ')}, scale ${scale}`,
    '',
    ...tableOf(
      ['', 'measured', 'aim'],
      [
        ['attacks found', `${found} of ${attacks}, ${percent(recall)}`, `≥ ${percent(aims.recall)}`],
        ['false alarms a day, ordinary life', falseAlarmsPerDay.toFixed(2), `≤ ${aims.falseAlarmsPerDay}`],
        ['quiet findings a day, ordinary life', quietPerDay.toFixed(2), ''],
        ['true among the alarms of attacked lives', percent(precision), ''],
        ['entries', String(entries), ''],
        ['entries/s, detector alone', String(Math.round(entriesPerSecond)), `≥ ${aims.entriesPerSecond}`],
      ],
    ),
    '',
    '## Attacks',
    '',
    ...tableOf(
      ['attack', 'found', 'after (median)', 'found by', 'also seen by'],
      score.kinds.map((kind) => [
        kind.kind,
        `${kind.found} of ${kind.attacks}`,
        durationOf(kind.delayMs),
        kind.foundBy.join(', '),
        kind.seenBy.join(', '),
      ]),
    ),
    '',
    '## Rules',
    '',
    'Alarms are findings of level medium, high or critical; quiet ones are low or informational.',
    '',
    ...tableOf(
      ['rule', 'recall', 'precision', 'true alarms', 'false alarms', 'ordinary life: alarms', 'quiet'],
      score.rules.map((rule) => [
        rule.rule,
        rule.expected === 0 ? '' : `${rule.found} of ${rule.expected}`,
        precisionOf(rule.trueAlarms, rule.falseAlarms),
        String(rule.trueAlarms),
        String(rule.falseAlarms),
        String(rule.ordinaryAlarms),
        String(rule.ordinaryQuiet),
      ]),
    ),
    '',
    ...(score.missed.length === 0
      ? []
      : [
          '## Missed',
          '',
          ...tableOf(
            ['seed', 'attack', 'variant', 'from', 'to'],
            score.missed.map(({ seed, kind, variant, from, to }) => [String(seed), kind, variant, from, to]),
          ),
          '',
        ]),
    missing.length === 0 ? 'All aims are met.' : `Not met: ${missing.join('; ')}.`,
    '',
  ].join('\n')
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
}

function precisionOf(right: number, wrong: number): string {
  return right + wrong === 0 ? '' : percent(right / (right + wrong))
}

function durationOf(ms: number | undefined): string {
  if (ms === undefined) return ''
  const minutes = ms / 60_000
  if (minutes < 90) return `${minutes.toFixed(1)} min`
  return minutes < 2880 ? `${(minutes / 60).toFixed(1)} h` : `${(minutes / 1440).toFixed(1)} d`
}
