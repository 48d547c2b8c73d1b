/** `keytrail audit report`: the review as a page of HTML to show and to keep. Needs no key and no lock. */
import { utf8 } from '../crypto/bytes.ts'
import { renderReport } from '../report/html/report.ts'
import { type Command, usageError } from './command.ts'
import { toJson } from './json.ts'
import { print, say, writeFile } from './output.ts'
import { reviewing, reviewOf } from './review.ts'

export const report: Command = {
  verb: 'audit report',
  operands: '[TRAIL]',
  summary: 'the review as one page of HTML, to show and to keep',
  details: `Makes what audit review tells into one file that needs nothing else: charts, filters, tables to
sort, a rotation calendar, and what the trail shows to those who ask by PCI DSS, SOC 2 or ISO 27001.
It asks nothing of any network, prints well, and can be read with scripts turned off. It names
callers, addresses and keys, so it is made for its owner alone to read. TRAIL and the other options
are those of audit review. Exits with 1 when something needs eyes, else 0; the page is written
either way. With --json, one object: the file, its bytes, and why eyes are needed.`,
  examples: [
    'keytrail audit report --html review.html --since 30d',
    'keytrail audit report /backup/audit --html november.html --since 2026-11-01 --until 2026-12-01',
  ],
  options: ['html', ...reviewing],
  async run(line) {
    const file = line.text('html')
    if (file === undefined || file === '') throw usageError("option '--html' must say which file to write")
    const review = await reviewOf(line)
    const page = renderReport(review)
    await writeFile(file, { bytes: page, for: 'secret' })
    const { needsEyes } = review
    if (line.flag('json')) await print(`${toJson({ file, bytes: utf8(page).length, needsEyes })}\n`)
    else say(told(needsEyes.length))
    return needsEyes.length > 0 ? 1 : 0
  },
}

function told(reasons: number): string {
  if (reasons === 0) return 'nothing needs eyes'
  return reasons === 1
    ? '1 reason to look: it stands at the top of the page'
    : `${reasons} reasons to look: they stand at the top of the page`
}
