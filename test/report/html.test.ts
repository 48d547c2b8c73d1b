/** @node The page as text: what it says, and that nothing can get out of its place. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { hex } from '../../src/crypto/bytes.ts'
import { KmsError } from '../../src/model/errors.ts'
import { complianceOf, standards } from '../../src/report/compliance.ts'
import { calendar, type Mark } from '../../src/report/html/calendar.ts'
import { shadeOf, short } from '../../src/report/html/hours.ts'
import { spanOf } from '../../src/report/html/log.ts'
import { textOf } from '../../src/report/html/markup.ts'
import { readParts } from '../../src/report/html/parts.ts'
import { renderWith } from '../../src/report/html/report.ts'
import { lengthOf } from '../../src/report/html/timeline.ts'
import type { Review } from '../../src/report/review.ts'
import { temporary } from './built.ts'
import { busy, hostile, hostileTexts, quiet, rich, tampered } from './reviews.ts'

const parts = { script: 'globalThis.ran = 1', style: 'body { color: red }', licence: 'The MIT License (MIT)' }
const page = (review: Review) => renderWith(review, parts)

/** The words of a section, without tags. */
function wordsOf(text: string, id: string): string {
  const from = text.indexOf(`<section id="${id}"`)
  assert.ok(from >= 0, `there is a section ${id}`)
  const section = text.slice(from, text.indexOf('</section>', from))
  return section
    .replace(/<[^>]*>/g, ' ')
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replace(/\s+/g, ' ')
}

function factsIn(text: string): Review & { readonly verdict: { readonly root: string; readonly size: number } } {
  const [, json = ''] = /<script type="application\/json" id="review">(.*?)<\/script>/s.exec(text) ?? []
  return JSON.parse(json)
}

describe('the policy', () => {
  test('allows by their hashes the one script and the one style, and nothing else', () => {
    const text = page(rich)
    const [, policy = ''] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(text) ?? []
    const hash = (of: string) => `&#39;sha256-${createHash('sha256').update(of).digest('base64')}&#39;`
    assert.deepEqual(policy.split('; '), [
      'default-src &#39;none&#39;',
      `script-src ${hash(parts.script)}`,
      `style-src ${hash(parts.style)}`,
      'img-src data:',
      'base-uri &#39;none&#39;',
      'form-action &#39;none&#39;',
    ])
    // Before anything that it rules.
    assert.ok(text.indexOf('Content-Security-Policy') < text.indexOf('<style>'))
  })

  test('has nothing to forbid: no style or handler in a tag, no address to fetch, one script and one style', () => {
    for (const review of [rich, quiet, tampered, hostile()]) {
      const text = page(review)
      const tags = [...text.replace(/<!--.*?-->/s, '').matchAll(/<([a-z][a-z0-9]*)((?:\s[^<>]*)?)>/g)]
      for (const [tag, name = '', attributes = ''] of tags) {
        const names = attributes.replace(/"[^"]*"/g, '""')
        assert.doesNotMatch(names, /\s(?:style|on\w+|src|srcset|srcdoc|action|formaction)=|=[^"]/, tag)
        assert.ok(!['iframe', 'object', 'embed', 'form', 'base', 'img'].includes(name), tag)
        const [, href] = /\shref="([^"]*)"/.exec(attributes) ?? []
        if (href !== undefined) assert.match(href, /^#[a-z]+$|^data:image\/svg/, tag)
      }
      assert.equal(tags.filter(([, name]) => name === 'script').length, 2)
      assert.equal(tags.filter(([, name]) => name === 'style').length, 1)
    }
  })

  test('the licence of what is inlined goes along', () => {
    assert.ok(page(quiet).includes('The MIT License (MIT)'))
  })
})

describe('hostile text', () => {
  const text = page(hostile())

  test('stays text wherever it stands', () => {
    assert.ok(!/<(?:img|iframe|svg onload|b>)/.test(text))
    assert.ok(text.includes('&#60;img src=x onerror=&#34;globalThis.owned=1&#34;&#62;'))
    assert.ok(!/[\u202a-\u202e\u2066-\u2069\u200b\u0000\u001b]/.test(text))
  })

  test('does not end the element that holds the facts, and is there as it was', () => {
    const facts = factsIn(text)
    assert.deepEqual(facts.needsEyes, hostileTexts)
    const json = text.slice(text.indexOf('id="review"'))
    assert.equal(json.indexOf('</script>'), json.indexOf('</script>\n<script>'))
  })

  test('in place of a number or a list of words breaks nothing', () => {
    const strange = JSON.parse('{"a":"<img>"}')
    const [first] = rich.actors
    const actors = [
      { ...first, actor: strange, failures: '<img src=x>', uses: { 'kms.encrypt': '<img>' }, firstAt: 12 },
    ]
    // What JSON.parse gives is of no type.
    assert.ok(!page({ ...rich, actors: actors as never }).includes('<img'))
  })
})

test('the facts are those of the review; sizes are numbers, roots hexadecimal', () => {
  const { verdict, ...facts } = factsIn(page(rich))
  const { verdict: given, ...others } = rich
  assert.deepEqual(facts, JSON.parse(JSON.stringify(others)))
  assert.equal(verdict.size, Number(given?.size))
  assert.equal(verdict.root, hex(given?.root ?? new Uint8Array()))
})

describe('the verdict', () => {
  const kinds = [
    ['valid', 'The trail is valid', 'good'],
    ['unverifiable', 'The trail could not be verified', 'watch'],
    ['rolled-back', 'The trail was rolled back', 'bad'],
    ['forked', 'The trail is not the one that was anchored', 'bad'],
    ['tampered', 'The trail was tampered with', 'bad'],
  ] as const
  for (const [verdict, headline, tone] of kinds)
    test(`${verdict} stands first, as loud as it is`, () => {
      const of = quiet.verdict ?? assert.fail('it has one')
      const text = page({ ...quiet, verdict: { ...of, verdict } })
      assert.match(text, new RegExp(`<section id="verdict" class="verdict tone-${tone}"`))
      assert.ok(wordsOf(text, 'verdict').includes(headline))
      assert.ok(text.includes(`<title>${headline}. Nothing needs eyes. Key use from 2026-11-19 to 2026-11-26</title>`))
    })

  test('a valid trail of which something needs eyes is not shown in green', () => {
    assert.match(page({ ...quiet, needsEyes: ['an export'] }), /class="verdict tone-watch"/)
    assert.ok(wordsOf(page({ ...quiet, needsEyes: ['an export'] }), 'verdict').includes('One thing needs eyes'))
  })

  test('what was not verified says so', () => {
    const { verdict: _, ...unverified } = rich
    const words = wordsOf(page(unverified), 'verdict')
    assert.ok(words.includes('The trail was not verified'))
    assert.ok(words.includes('Whether an entry was changed, added or taken away.'))
  })

  test('tells where a trail was tampered with', () => {
    assert.ok(wordsOf(page(tampered), 'verdict').includes('(entries 20 to 24, 00000000000000000000.jsonl, line 41)'))
  })

  test('names its anchor, and how many entries it does not cover, of all trails together', () => {
    const words = wordsOf(page(rich), 'verdict')
    assert.ok(words.includes('It was held against a pin'))
    assert.ok(words.includes('pin /mnt/elsewhere/prod.pin: covers 180,000 entries; agrees'))
    // 184,213 − 180,000 of the one, all 90,412 of the other.
    assert.ok(words.includes('The 94,625 entries after the last anchor rest on the signing key alone.'))
  })

  test('of many trails speaks of the one that is held least firmly', () => {
    const of = rich.verdict ?? assert.fail('it has one')
    const [first, second] = of.instances
    if (first === undefined || second === undefined) return assert.fail('two')
    const words = wordsOf(
      page({ ...rich, verdict: { ...of, instances: [first, { ...second, anchor: 'none' }] } }),
      'verdict',
    )
    assert.ok(words.includes('It was held against nothing outside the trail'))
    assert.ok(words.includes('could have written the whole history anew'))
  })

  test('an anchor that does not agree covers nothing', () => {
    const of = quiet.verdict ?? assert.fail('it has one')
    const [only] = of.instances
    if (only === undefined) return assert.fail('one')
    const anchors = only.anchors.map((anchor) => ({ ...anchor, agrees: false }))
    const words = wordsOf(page({ ...quiet, verdict: { ...of, anchors, instances: [{ ...only, anchors }] } }), 'verdict')
    assert.ok(words.includes('does not agree'))
    assert.ok(words.includes('The 184,213 entries after the last anchor'))
  })
})

describe('what needs eyes', () => {
  test('all of it is there, what is much behind a fold, with the notes beside', () => {
    const words = wordsOf(page(rich), 'eyes')
    for (const reason of rich.needsEyes) assert.ok(words.includes(reason), reason)
    for (const note of rich.notes) assert.ok(words.includes(note), note)
    assert.ok(words.includes(`And ${rich.needsEyes.length - 12} more reasons`))
  })

  test('nothing is said in a line', () => {
    assert.match(wordsOf(page(quiet), 'eyes'), /Nothing: the trail/)
  })
})

test('every section says that there is nothing to say', () => {
  const { verdict: _, ...empty } = quiet
  const none = { ...empty, keys: [], actors: [], hours: new Array(168).fill(0), instances: [] }
  const text = page({ ...none, timeline: { ...quiet.timeline, series: [] }, log: { ...quiet.log, fieldPolicies: [] } })
  const said: Readonly<Record<string, string>> = {
    findings: 'The rules found nothing in this time.',
    timeline: 'No calls in this time.',
    hours: 'No calls in this time.',
    exports: 'No key material was exported in this time.',
    keys: 'The trail tells of no key.',
    actors: 'Nobody used a key in this time.',
    rotations: 'No key rotates on a schedule, and none was rotated by hand in this time.',
    failures: 'No call failed in this time.',
    log: 'None: every change that was begun has its result.',
  }
  for (const [id, words] of Object.entries(said)) assert.ok(wordsOf(text, id).includes(words), id)
})

test('each finding has its level, sentence, evidence, and what to do', () => {
  const words = wordsOf(page(rich), 'findings')
  for (const { level, says, whatToDo, evidence, title } of rich.findings)
    for (const told of [level, says, whatToDo, title, ...evidence]) assert.ok(words.includes(told), told)
  assert.ok(words.includes('1 critical, 11 high, 12 medium, 12 low; 1 of them suppressed'))
  assert.match(words, /Suppressed until 2026-12-06 13:00:00 by user:carol: load test, agreed in SEC-1177/)
})

test('tiles count what is not suppressed, from the level that was asked for on', () => {
  const loud = (review: Review) =>
    /<span class="figure">([\d,]+)<\/span> <span class="name">(Findings[^<]*)/.exec(page(review))
  assert.deepEqual(loud(rich)?.slice(1), ['23', 'Findings, medium or worse'])
  assert.deepEqual(loud({ ...rich, least: 'critical' })?.slice(1), ['1', 'Findings, critical'])
})

test('what a list was cut by is told', () => {
  const cut = {
    othersOfFindings: 3,
    othersOfExports: 1,
    othersOfKeys: 4,
    othersOfActors: 5,
    othersOfFailures: 6,
    othersOfSilences: 7,
  }
  const text = page({ ...rich, ...cut })
  assert.ok(wordsOf(text, 'findings').includes('And 3 more findings'))
  assert.ok(wordsOf(text, 'exports').includes('And 1 more export,'))
  assert.ok(wordsOf(text, 'keys').includes('And 4 more keys'))
  assert.ok(wordsOf(text, 'actors').includes('of which 5 ones'))
  assert.ok(wordsOf(text, 'failures').includes('And 6 more causes'))
  assert.ok(wordsOf(text, 'log').includes('And 7 more silences'))
})

test('an export without a reason stands out, and that it succeeded is no good news', () => {
  const text = page(rich)
  assert.ok(text.includes('<strong>no reason given</strong>'))
  const exports = text.slice(text.indexOf('<section id="exports"'), text.indexOf('<section id="keys"'))
  assert.match(exports, /outcome other">success/)
  assert.doesNotMatch(exports, /outcome success/)
})

test('times are those of the zone; the moment stands behind them', () => {
  const [only] = quiet.actors
  if (only === undefined) return assert.fail('one')
  const strange = page({ ...quiet, actors: [{ ...only, firstAt: '<b>owned=1' }] })
  assert.ok(wordsOf(strange, 'actors').includes('<b>owned=1'), 'what is no moment is not read as one')
  assert.ok(page(quiet).includes('<time datetime="2026-11-26T12:00:00.000Z">2026-11-26 12:00</time>'))
  assert.ok(page(rich).includes('<time datetime="2026-11-26T12:00:00.000Z">2026-11-26 13:00</time>'))
  assert.throws(
    () => page({ ...quiet, timeZone: 'Mars/Olympus' }),
    (error) => error instanceof KmsError && error.code === 'INVALID_INPUT',
  )
})

describe('rotations', () => {
  test('the worst come first, and keys on no schedule are named apart', () => {
    const words = wordsOf(page(rich), 'rotations')
    const at = (state: string) => words.indexOf(` ${state} `, words.indexOf('In this time'))
    assert.ok(at('overdue') < at('late') && at('late') < at('on time'))
    assert.ok(words.includes('on no schedule: rotated by hand only, or not active'))
  })

  test('of a key that is destroyed nothing is due', () => {
    const [key] = quiet.keys
    if (key === undefined) return assert.fail('one')
    const due = { ...key, slug: 'gone', status: 'destroyed', rotation: { ...key.rotation, state: 'overdue' as const } }
    assert.ok(!wordsOf(page({ ...quiet, keys: [due] }), 'rotations').includes('gone'))
  })

  test('one that came late is due again when it is, not overdue', () => {
    const [key] = quiet.keys
    if (key === undefined) return assert.fail('one')
    const dueAt = '2026-12-10T00:00:00.000Z'
    const text = page({ ...quiet, keys: [{ ...key, rotation: { ...key.rotation, state: 'late', dueAt } }] })
    assert.match(text, /<span class="day">10<\/span><span class="sign due">/)
  })

  test('a calendar puts each day under its weekday', () => {
    const marks = new Map<string, readonly Mark[]>([
      [
        '2026-11-02',
        [
          { kind: 'done', says: 'a' },
          { kind: 'done', says: 'b' },
          { kind: 'failed', says: 'c' },
        ],
      ],
    ])
    const text = textOf(calendar('2026-11-05', '2027-01-01', marks, 2))
    assert.deepEqual(
      [...text.matchAll(/<caption>([^<]*)/g)].map(([, name]) => name),
      ['November 2026', 'December 2026'],
    )
    // November 2026 begins on a Sunday and has 30 days.
    const [november = ''] = text.split('</table>')
    const weeks = november.split('<tbody>')[1]?.split('</tr>') ?? []
    assert.equal(weeks[0]?.match(/class="outside"/g)?.length, 6)
    assert.match(weeks[1] ?? '', /^\s*<tr><td class="marked"><span class="day">2<\/span>/)
    assert.match(november, /sign failed.*✕.* 1 failed.*sign done.*✓.*2<span class="hidden-text"> {2}rotated|✓<\/span>2/)
    assert.equal(november.match(/class="day"/g)?.length, 30)
  })
})

test('hours: numbers of four characters at most, and a shade for each', () => {
  assert.deepEqual([0, 999, 1000, 1234, 9_949, 9_951, 46_400, 999_499, 999_500, 3_000_000].map(short), [
    ...['0', '999', '1k', '1.2k', '9.9k', '10k', '46k', '999k', '1M', '3M'],
  ])
  assert.deepEqual(
    [0, 1, 1600, 10_000].map((count) => shadeOf(count, 10_000)),
    [0, 1, 3, 7],
  )
  const text = page(rich)
  const cells = [...text.slice(text.indexOf('class="heat"')).matchAll(/<td class="h(\d)">/g)]
  assert.equal(cells.length, 168)
  assert.match(wordsOf(text, 'hours'), /Busiest: Thursday, 03:00 to 04:00, 9,412 calls\./)
})

test('lengths of time are told in the largest unit that fits', () => {
  assert.deepEqual([21_600_000, 86_400_000, 90_000, 1500].map(lengthOf), [
    '6 hours',
    '1 day',
    '90 seconds',
    '1,500 milliseconds',
  ])
  assert.deepEqual([60_000, 12_240_000, 200 * 3_600_000, Number.NaN].map(spanOf), [
    '1 min',
    '3 h 24 min',
    '8 days 8 h',
    'unknown',
  ])
})

for (const buckets of [120, 125, 7])
  test(`the timeline of ${buckets} steps is a table, too, of the same sum`, () => {
    const review = busy({ keys: 2, actors: 2, findings: 0, buckets })
    const text = page(review)
    const rows = text
      .slice(text.indexOf('class="as-table"'), text.indexOf('<section id="hours"'))
      .split('<tr>')
      .slice(2)
    assert.ok(rows.length <= 62 && rows.length >= Math.min(buckets, 31))
    const numbers = rows.map((one) =>
      [...one.matchAll(/class="number">([\d,]+)</g)].map(([, number = '']) => Number(number.replaceAll(',', ''))),
    )
    const sum = (column: number) => numbers.reduce((all, one) => all + (one[column] ?? 0), 0)
    assert.equal(sum(0), review.entries)
    assert.equal(sum(1) + sum(2) + sum(3), review.entries)
  })

describe('for whoever asks by a standard', () => {
  test('each clause says what is shown and what remains; figures are those of the review', () => {
    const rows = complianceOf(rich)
    for (const { standard, asks, shows, remains } of rows) {
      assert.ok(standards.includes(standard))
      for (const words of [asks, shows, remains]) assert.match(words, /^[A-Z0-9].*[.?]$/)
      assert.doesNotMatch(shows, /undefined|NaN/)
    }
    const shows = (clause: string) => rows.find((row) => row.clause === clause)?.shows ?? assert.fail(clause)
    assert.match(shows('10.2.1'), /^142,789 entries in this time from 2 trails/)
    assert.match(shows('10.2.1.4'), /^549 failed calls, of which 96 for want of permission/)
    assert.match(shows('10.3.2'), /This trail is valid; it was held against a pin/)
    assert.match(shows('10.7.2, 10.7.3'), /312 entries lost, 1 call refused/)
    assert.match(shows('CC6.1'), /10 rotations late, 2 exports/)
  })

  test('a change or an export that was refused is none', () => {
    const counts = [2]
    const of = (outcome: string) => ({ action: 'kms_key.disable', outcome, counts })
    const timeline = { ...quiet.timeline, series: [of('success'), of('failure')] }
    const asked = { eventID: 'x', at: quiet.from, key: 'orders', outcome: 'failure' }
    const shown = complianceOf({ ...quiet, timeline, exports: [asked] }).find(({ clause }) => clause === '10.2.1.2')
    assert.match(shown?.shows ?? '', /^2 changes to keys and 0 exports stand/)
  })

  test('every clause that was asked for is there', () => {
    const clauses = complianceOf(quiet).map(({ clause }) => clause)
    const wanted = [
      '10.2.2',
      '10.5.1',
      'CC6.1',
      'CC7.1',
      'CC7.2',
      'CC7.3',
      'CC7.4',
      'CC7.5',
      'A.8.15',
      'A.8.16',
      'A.8.17',
      'A.8.24',
    ]
    const numbered = Array.from({ length: 7 }, (_, at) => `10.2.1.${at + 1}`)
    assert.deepEqual(
      [...wanted, ...numbered].filter((clause) => !clauses.includes(clause)),
      [],
    )
    for (const prefix of ['10.3.', '10.4.', '10.6.', '10.7.'])
      assert.ok(
        clauses.some((clause) => clause.startsWith(prefix)),
        prefix,
      )
  })

  test('nobody is told to be compliant', () => {
    const words = wordsOf(page(quiet), 'compliance')
    assert.doesNotMatch(words, /\b(?:compliant|certified|conforms?|fulfil\w*|satisf\w+)\b/i)
    assert.match(words, /It is no statement that anybody complies with anything/)
    for (const { remains } of complianceOf(quiet)) assert.ok(words.includes(remains))
  })
})

test('without its built parts it says what makes them', () => {
  assert.throws(
    () => readParts(pathToFileURL(`${temporary()}/`)),
    (error) => error instanceof KmsError && error.code === 'INTERNAL' && error.message.includes('npm run build'),
  )
})

test('a review of any size keeps its rows in the page, marked from the two hundredth on', () => {
  const text = page(busy({ keys: 300, actors: 250, findings: 30, buckets: 24 }))
  const keys = text.slice(text.indexOf('<section id="keys"'), text.indexOf('<section id="actors"'))
  assert.equal(keys.match(/<tr/g)?.length, 301)
  assert.equal(keys.match(/<tr class="more"/g)?.length, 100)
  assert.equal(text.match(/<li class="finding [^"]* more"/g)?.length, 5)
})
