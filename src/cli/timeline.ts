/** `keytrail audit timeline`: the story of a key, of an actor, or around one entry. Needs no key and no lock. */
import { handOver } from '../integrations/investigate/hand-over.ts'
import { type TimelineOptions, type TimelineStep, timelineOf } from '../integrations/investigate/timeline.ts'
import { parseDuration } from '../model/duration.ts'
import { KmsError } from '../model/errors.ts'
import { visible } from '../sinks/render.ts'
import { lineOfRead } from '../trail/reading/entry-line.ts'
import { momentOf } from './audit.ts'
import { type Command, type CommandLine, type ExitCode, usageError } from './command.ts'
import { homeOf } from './home.ts'
import { toJson } from './json.ts'
import { print } from './output.ts'

export const timeline: Command = {
  verb: 'audit timeline',
  operands: '[TRAIL]',
  summary: 'what happened, in order: of a key, an actor, or around an entry',
  details: `Give one of --key, --actor and --around. TRAIL is a trail's folder, the parent of many, or an
archive's file; DIR/audit if left out. Entries of secrets stand with the calls they needed. Like
calls of an hour are one step, with their number; --all shows each. Around an entry: what is of the
same change, secret, request, actor, key or source, and what the log tells of itself; > marks it.
--prove writes the story, its exact entries and a receipt for each (at most --limit, 1000 by
default) into a new folder, to hand over. Reading does not verify: audit verify does. Exits with 1
when there is nothing to tell. With --json, one line a step.`,
  examples: [
    'keytrail audit timeline --key orders --since 30d',
    'keytrail audit timeline --around 019c13a6-4c00-7000-8000-00000000000b --span 1h',
    'keytrail audit timeline --actor user:mallory --prove ./case-17',
  ],
  options: ['key', 'actor', 'around', 'span', 'since', 'until', 'all', 'limit', 'time-zone', 'prove', 'vkey', 'dir'],
  async run(line) {
    const trail = line.operands[0] ?? homeOf(line).audit
    const asked = askedBy(line)
    const out = line.text('prove')
    if (out !== undefined) return prove(line, { trail, asked, out })
    const write = line.flag('json') ? jsonWriter() : wordsWriter(line)
    let left = line.count('limit') ?? Number.POSITIVE_INFINITY
    let told = 0
    for await (const step of timelineOf(trail, asked)) {
      if (left-- <= 0) break
      told += 1
      if (!(await print(write(step)))) return 0
    }
    if (told === 0 && !line.flag('json')) await print('nothing happened\n')
    return told === 0 ? 1 : 0
  },
}

function askedBy(line: CommandLine): TimelineOptions {
  const [key, actor, around] = [line.text('key'), line.text('actor'), line.text('around')]
  if ([key, actor, around].filter((one) => one !== undefined).length !== 1)
    throw usageError('give exactly one of --key, --actor and --around')
  const [from, to, span] = [momentOf(line, 'since'), momentOf(line, 'until'), line.text('span')]
  if (around !== undefined && (from !== undefined || to !== undefined))
    throw usageError('around an entry --span says how far: leave --since and --until out')
  if (around === undefined && span !== undefined) throw usageError('--span goes with --around')
  return {
    ...(key !== undefined && { key }),
    ...(actor !== undefined && { actor }),
    ...(around !== undefined && { around: around.toLowerCase() }),
    ...(span !== undefined && { spanMs: spanOf(span) }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(line.flag('all') && { unfolded: true }),
  }
}

function spanOf(text: string): number {
  try {
    return parseDuration('span', text, { min: 0, max: 31 * 86_400_000 })
  } catch (error) {
    throw error instanceof KmsError
      ? usageError("option '--span' takes a time such as 15m, 2h or 1d, up to 31d")
      : error
  }
}

interface Proving {
  readonly trail: string
  readonly asked: TimelineOptions
  readonly out: string
}

async function prove(line: CommandLine, { trail, asked, out }: Proving): Promise<ExitCode> {
  const [vkey, limit] = [line.list('vkey'), line.count('limit')]
  const made = await handOver(trail, {
    ...asked,
    out,
    ...(vkey.length > 0 && { vkey }),
    ...(limit !== undefined && { limit }),
  })
  if (line.flag('json')) await print(`${toJson(made)}\n`)
  else {
    const { entries, proven, unproven, cut } = made
    const rest = [
      ...(unproven.length === 0
        ? []
        : [`${unproven.length} are not covered by a published checkpoint yet: no receipt`]),
      ...(cut ? ['there are more entries than --limit: the story ends early'] : []),
    ]
    await print(`${[`${entries} entries and ${proven} receipts in ${visible(out)}`, ...rest].join('\n')}\n`)
  }
  return 0
}

function jsonWriter(): (step: TimelineStep) => string {
  return ({ at, until, says, relation, count, failed, entries }) => {
    const placed = entries.map(
      // The entry as it stands in the trail: the line is its exact bytes.
      ({ instance, index, entry }) => `{"instance":${toJson(instance)},"index":${index},"entry":${lineOfRead(entry)}}`,
    )
    const facts = toJson({ at, until, says, relation, count, failed })
    return `${facts.slice(0, -1)},"entries":[${placed.join(',')}]}\n`
  }
}

/** A heading a day; then a line a step: when, what, and by which entry it can be found. */
function wordsWriter(line: CommandLine): (step: TimelineStep) => string {
  const isAround = line.text('around') !== undefined
  const clock = wallClock(line.text('time-zone') ?? 'UTC')
  let today = ''
  return ({ at, until, says, relation, count, entries }) => {
    const { day, time } = clock(at)
    const heading = day === today ? '' : `${today === '' ? '' : '\n'}${day}\n`
    today = day
    const mark = isAround ? `${relation === 'asked' ? '>' : ' '} ` : ''
    const when = count > 1 && until !== at ? `${time} – ${clock(until).time}` : time
    const why = isAround && relation !== 'asked' ? ` [${relation}]` : ''
    const id = visible(entries[0]?.entry.eventID ?? '')
    return `${heading}${mark}${when}  ${says}${why}  ${id}\n`
  }
}

interface WallTime {
  readonly day: string
  readonly time: string
}

function wallClock(timeZone: string): (at: string) => WallTime {
  const format = formatOf(timeZone)
  return (at) => {
    const moment = Date.parse(at)
    if (Number.isNaN(moment)) return { day: 'a day that cannot be read', time: visible(at) }
    const parts = new Map(format.formatToParts(moment).map(({ type, value }) => [type, value]))
    const [weekday, year, month, day] = [parts.get('weekday'), parts.get('year'), parts.get('month'), parts.get('day')]
    const time = `${parts.get('hour')}:${parts.get('minute')}:${parts.get('second')}.${parts.get('fractionalSecond')}`
    return { day: `${weekday} ${year}-${month}-${day} (${timeZone})`, time }
  }
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const date = { weekday: 'long', year: 'numeric', month: '2-digit', day: '2-digit' } as const
  const time = { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 } as const
  try {
    return new Intl.DateTimeFormat('en-GB', { timeZone, ...date, ...time, hourCycle: 'h23' })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw usageError("option '--time-zone' takes an IANA name that this host knows, such as Europe/Amsterdam or UTC")
  }
}
