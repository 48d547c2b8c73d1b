/** `keytrail audit review`: what a trail tells of the last days, on a page. Needs no key and no lock. */
import { type Level, levels } from '../detect/finding.ts'
import { shippedRules } from '../detect/shipped.ts'
import { describeReview } from '../report/describe.ts'
import type { Review } from '../report/review.ts'
import { reviewTrail } from '../report/review-trail.ts'
import { visible } from '../sinks/render.ts'
import { momentOf, plainVerdict, trailOf } from './audit.ts'
import { type Command, type CommandLine, usageError } from './command.ts'
import { toJson } from './json.ts'
import type { OptionName } from './options.ts'
import { look, print } from './output.ts'
import { openProgress } from './progress.ts'
import { settingsOf } from './settings.ts'

/** Of every verb that makes a review. */
export const reviewing: readonly OptionName[] = [
  ...(['since', 'until', 'rules', 'level', 'vkey', 'pin', 'witness', 'copy', 'no-verify', 'dir'] as const),
]

export const review: Command = {
  verb: 'audit review',
  operands: '[TRAIL]',
  summary: 'what a trail tells of the last days, and whether something needs eyes',
  details: `Verifies the trail, reads it once, and answers on a page: is it valid and against which anchor, what
the rules found, every export, rotations against policy, failures by cause, who decrypts what, keys
unused for 90 days, silences, losses. TRAIL is a trail's folder, the parent of many, or an
archive's file; DIR/audit if left out. The last 7 days, unless --since says otherwise; what is
usual is learnt from all before. --rules is a file of settings:
{"timeZone":"Europe/Amsterdam","rules":{"new-agent":false},"suppressions":[]}.
Exits with 1 when something needs eyes, else 0: for a job that mails the page when it does.
With --json, the whole review as one object: sizes are numbers, roots hexadecimal.`,
  examples: [
    'keytrail audit review --since 7d',
    "keytrail audit review /backup/audit --vkey 'keytrail/…+1f0e2d3c+AQ…' --pin /mnt/elsewhere/prod.pin",
    'keytrail audit review --since 2026-01-01 --until 2026-02-01 --json | jq .findings',
  ],
  options: reviewing,
  async run(line) {
    const made = await reviewOf(line)
    await print(line.flag('json') ? `${reviewJson(made)}\n` : `${describeReview(made, widthOf())}\n`)
    return made.needsEyes.length > 0 ? 1 : 0
  },
}

/** The review that the options ask for. */
export async function reviewOf(line: CommandLine): Promise<Review> {
  const { timeZone, rules, suppressions } = await settingsOf(line)
  const [vkey, pin, witness, copy] = [line.list('vkey'), line.list('pin'), line.list('witness'), line.list('copy')]
  if (line.flag('no-verify') && [vkey, pin, witness, copy].some((given) => given.length > 0))
    throw usageError("option '--no-verify' leaves nothing to hold a key or an anchor against")
  const [from, to, least] = [momentOf(line, 'since'), momentOf(line, 'until'), levelOf(line)]
  const progress = openProgress()
  return reviewTrail(trailOf(line), {
    rules: shippedRules(rules),
    verify: !line.flag('no-verify'),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(least !== undefined && { least }),
    ...(timeZone !== undefined && { timeZone }),
    ...(suppressions !== undefined && { suppressions }),
    ...(vkey.length > 0 && { vkey }),
    ...(pin.length > 0 && { pin }),
    ...(witness.length > 0 && { witness }),
    ...(copy.length > 0 && { copy }),
    onProgress: ({ step, instance, bytes, totalBytes }) => {
      progress.at(`${step} ${visible(instance)}`, bytes, totalBytes)
    },
  }).finally(progress.end)
}

function levelOf(line: CommandLine): Level | undefined {
  const text = line.text('level')
  const level = levels.find((name) => name === text)
  if (text !== undefined && level === undefined) throw usageError(`option '--level' takes one of ${levels.join(', ')}`)
  return level
}

function reviewJson({ verdict, ...review }: Review): string {
  return toJson({ ...review, verdict: verdict && plainVerdict(verdict) })
}

/** No wider than is read easily, and no wider than the terminal. */
function widthOf(): { readonly width: number } {
  return { width: Math.min(look().width ?? 80, 80) }
}
