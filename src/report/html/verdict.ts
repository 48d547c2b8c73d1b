/** First of all: does anything need eyes, is the trail what its writer left, and how far does that go. */
import { type Anchor, anchorKinds } from '../../trail/verify/anchors.ts'
import type { InstanceVerdict, Verdict, VerdictKind } from '../../trail/verify/verdict.ts'
import type { Review } from '../review.ts'
import { counted, html, type Markup, named, plural } from './markup.ts'
import { table } from './section.ts'
import type { Times } from './times.ts'

/** How loud the page is. */
export type Tone = 'good' | 'watch' | 'bad'

interface Words {
  readonly tone: Tone
  readonly headline: string
  readonly means: string
}

const words: Readonly<Record<VerdictKind, Words>> = {
  valid: {
    tone: 'good',
    headline: 'The trail is valid',
    means: 'Every entry is as it was signed, in its place, with none missing between them.',
  },
  unverifiable: {
    tone: 'watch',
    headline: 'The trail could not be verified',
    means: 'Something that is needed to tell is missing. That is not tampering, and it is no proof of the contrary.',
  },
  'rolled-back': {
    tone: 'bad',
    headline: 'The trail was rolled back',
    means: 'An anchor from elsewhere covers more entries than there are: the end of the trail is missing.',
  },
  forked: {
    tone: 'bad',
    headline: 'The trail is not the one that was anchored',
    means: 'An anchor from elsewhere covers other entries than these: somebody holds two histories.',
  },
  tampered: {
    tone: 'bad',
    headline: 'The trail was tampered with',
    means: 'What is there is not what was signed. Keep it as it is, and compare it with a copy.',
  },
}

const unverified: Words = {
  tone: 'watch',
  headline: 'The trail was not verified',
  means:
    'Nothing below has been checked against the signatures: this page is only as true as the files that it was made from.',
}

export function wordsOf({ verdict }: Review): Words {
  return verdict === undefined ? unverified : (words[verdict.verdict] ?? unverified)
}

export function toneOf(review: Review): Tone {
  const { tone } = wordsOf(review)
  return tone === 'good' && review.needsEyes.length > 0 ? 'watch' : tone
}

/** `3 things need eyes`. */
export function eyesOf({ needsEyes }: Review): string {
  if (needsEyes.length === 0) return 'Nothing needs eyes'
  return needsEyes.length === 1 ? 'One thing needs eyes' : `${counted(needsEyes.length)} things need eyes`
}

/** Reasons beyond these are behind a fold. */
const reasonsAtFirst = 12

export function verdictSection(review: Review, times: Times): Markup {
  const { verdict } = review
  const { headline, means } = wordsOf(review)
  return html`<section id="verdict" class="verdict tone-${toneOf(review)}" aria-labelledby="verdict-title">
<div class="headline">${markOf(toneOf(review))}<div>
<h2 id="verdict-title">${headline}</h2>
<p class="eyes">${eyesOf(review)}</p>
</div></div>
<div class="columns">
<div>
<h3>What was checked</h3>
<p>${means}</p>
${verdict !== undefined && problemOf(verdict)}
<p>${anchorMeanings[weakestOf(verdict)]}</p>
${verdict !== undefined && anchorList(verdict, times)}
${verdict !== undefined && html`<p class="quiet">The verifier says: ${named(verdict.note, 400)}.</p>`}
</div>
<div>
<h3>What this does not prove</h3>
<ul>${limitsOf(verdict).map((limit) => html`<li>${limit}</li>`)}</ul>
</div>
</div>
${verdict !== undefined && verdict.instances.length > 1 && instancesOf(verdict)}
</section>
`
}

export function reasonsSection(review: Review): Markup {
  const { needsEyes } = review
  const item = (says: string) => html`<li>${named(says, 600)}</li>
`
  const rest = needsEyes.slice(reasonsAtFirst)
  const body =
    needsEyes.length === 0
      ? html`<p class="nothing">Nothing: the trail, the findings, the exports, the rotations and the log itself give no reason.</p>`
      : html`<ol>${needsEyes.slice(0, reasonsAtFirst).map(item)}</ol>`
  const fold =
    rest.length > 0 &&
    html`<details><summary>And ${plural(rest.length, 'more reason')}</summary><ol start="${reasonsAtFirst + 1}">${rest.map(item)}</ol></details>`
  const notes =
    review.notes.length > 0 &&
    html`<h3>Good to know</h3><ul class="notes">${review.notes.map((note) => html`<li>${named(note, 600)}</li>`)}</ul>`
  return html`<section id="eyes" aria-labelledby="eyes-title" class="eyes-list"><h2 id="eyes-title">What needs eyes</h2>
${body}${fold}${notes}</section>
`
}

function problemOf({ problem, index, lastIndex, segment, line }: InstanceVerdict): Markup {
  if (problem === undefined) return html``
  const range = lastIndex === undefined || lastIndex === index ? `entry ${index}` : `entries ${index} to ${lastIndex}`
  const places = [index !== undefined && range, segment, line !== undefined && `line ${line}`]
  const where = places.filter((place) => place !== undefined && place !== false).join(', ')
  return html`<p class="problem"><strong>${named(problem, 400)}</strong>${where !== '' && html` (${named(where, 120)})`}</p>`
}

const anchorMeanings = {
  none: 'It was held against nothing outside the trail: no pin, no witness, no copy.',
  copy: 'It was held against a copy of the trail kept in another place.',
  pin: 'It was held against a pin: a signed state of the trail that was kept elsewhere.',
  witness: 'It was held against the word of a witness: somebody else, who signed what the trail was.',
} as const

/** Of many trails the one that is held least firmly speaks for all. */
function weakestOf(verdict: Verdict | undefined): keyof typeof anchorMeanings {
  const anchors = verdict?.instances.map(({ anchor }) => anchor) ?? []
  return (['none', ...anchorKinds] as const).find((kind) => anchors.includes(kind)) ?? 'none'
}

function anchorList({ anchors }: InstanceVerdict, times: Times): Markup | undefined {
  if (anchors.length === 0) return undefined
  const told = ({ kind, size, at, file, witness, agrees }: Anchor) => {
    const name = witness ?? file
    return html`<li class="${agrees ? 'agrees' : 'differs'}"><strong>${kind}</strong>${name !== undefined && html` ${named(name)}`}: covers ${plural(Number(size), 'entry', 'entries')}${at !== undefined && html`, signed ${times.moment(at)}`}; ${agrees ? 'agrees' : 'does not agree'}</li>`
  }
  return html`<ul class="anchors">${anchors.map(told)}</ul>`
}

function limitsOf(verdict: Verdict | undefined): readonly string[] {
  const always = [
    'Whoever calls the key provider directly, past keytrail, leaves no entry here.',
    'Names of callers are what the application said of them; the trail keeps the words, it does not check them.',
    'No finding means that no rule saw anything, not that nothing happened.',
  ]
  if (verdict === undefined) return ['Whether an entry was changed, added or taken away.', ...always]
  if (weakestOf(verdict) === 'none')
    return [
      'Whoever has this machine and the signing key could have written the whole history anew, or cut off its end. A pin, a witness or a copy elsewhere rules that out.',
      ...always,
    ]
  const later = verdict.instances.reduce((sum, one) => sum + uncovered(one), 0n)
  if (later <= 0n) return always
  return [
    `The ${plural(Number(later), 'entry', 'entries')} after the last anchor rest on the signing key alone.`,
    ...always,
  ]
}

/** Entries that came after the last that an anchor covers. */
function uncovered({ anchors, size }: InstanceVerdict): bigint {
  const covered = anchors.reduce((most, anchor) => (anchor.agrees && anchor.size > most ? anchor.size : most), 0n)
  return size > covered ? size - covered : 0n
}

function instancesOf({ instances }: Verdict): Markup {
  return table(
    'Each trail that was read',
    ['Trail', 'Verdict', 'Anchor', 'Entries', 'What it means'],
    instances.map(({ instance, verdict, anchor, size, note, problem }) => [
      named(instance),
      verdict,
      anchor,
      counted(Number(size)),
      named(problem ?? note, 300),
    ]),
  )
}

const marks: Readonly<Record<Tone, Markup>> = {
  good: html`<path d="M14 25l7 7 14-16"/>`,
  watch: html`<path d="M24 13v14M24 33.5v.5"/>`,
  bad: html`<path d="M16 16l16 16M32 16L16 32"/>`,
}

function markOf(tone: Tone): Markup {
  return html`<svg class="mark" viewBox="0 0 48 48" width="56" height="56" aria-hidden="true" focusable="false"><circle cx="24" cy="24" r="22"/>${marks[tone]}</svg>`
}
