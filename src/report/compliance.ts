/**
 * What a trail can show to somebody who asks by PCI DSS, SOC 2 or ISO/IEC 27001, and what stays with those who run it. The words are
 * ours: the standards' own texts are binding, and nothing here says that anybody complies with them.
 */
import { isAtLeast } from '../detect/finding.ts'
import type { Review } from './review.ts'

export interface ComplianceRow {
  readonly standard: Standard
  /** As the standard numbers it. */
  readonly clause: string
  /** What is asked, in a few words of ours. */
  readonly asks: string
  /** What this trail shows of it, with the figures of the review. */
  readonly shows: string
  /** What keytrail cannot do, and the operator must. */
  readonly remains: string
}

/** The standards, in the order of the rows. */
export const standards = ['PCI DSS v4.0.1', 'SOC 2 (Trust Services Criteria)', 'ISO/IEC 27001:2022'] as const

export type Standard = (typeof standards)[number]

/** Every row, with the figures of `review`. */
export function complianceOf(review: Review): readonly ComplianceRow[] {
  const figures = figuresOf(review)
  return rows.map(({ shows, ...row }) => ({ ...row, shows: shows(figures) }))
}

interface Figures {
  readonly review: Review
  /** `1,234 entries`. */
  readonly entries: string
  readonly verdict: string
  readonly anchor: string
  readonly denied: number
  readonly failed: number
  readonly lifecycle: number
  /** Refused ones are none. */
  readonly exported: number
  readonly alarms: number
  readonly lost: number
  readonly downs: number
  readonly late: number
  readonly unused: number
}

function figuresOf(review: Review): Figures {
  const { verdict, failures, timeline, findings, log, keys } = review
  // A refused change is none.
  const actions = (wanted: (action: string) => boolean) =>
    sum(
      timeline.series
        .filter(({ action, outcome }) => wanted(action) && outcome !== 'failure')
        .map(({ counts }) => sum(counts)),
    )
  return {
    review,
    entries: some(review.entries, 'entry', 'entries'),
    verdict: verdict === undefined ? 'was not verified' : `is ${verdict.verdict}`,
    anchor: anchorWords(review),
    denied: sum(
      failures.filter(({ statusCode }) => statusCode === 401 || statusCode === 403).map(({ count }) => count),
    ),
    failed: sum(failures.map(({ count }) => count)),
    lifecycle: actions((action) => madeOrEnded.includes(action)),
    exported: review.exports.filter(({ outcome }) => outcome !== 'failure').length + review.othersOfExports,
    alarms: findings.filter(({ level, suppressed }) => isAtLeast(level, review.least) && suppressed === undefined)
      .length,
    lost: sum(log.sinks.map(({ dropped }) => dropped)) + log.missing,
    downs: sum(log.sinks.map(({ downs }) => downs)),
    late: keys.filter(({ rotation }) => rotation.state === 'late' || rotation.state === 'overdue').length,
    unused: keys.filter((key) => key.unused === true).length,
  }
}

const madeOrEnded = [
  'create',
  'import',
  'import_version',
  'enable',
  'disable',
  'delete',
  'cancel_deletion',
  'destroy',
].map((name) => `kms_key.${name}`)

function anchorWords({ verdict }: Review): string {
  if (verdict === undefined || verdict.anchor === 'none') return 'no anchor outside it was given'
  return `it was held against a ${verdict.anchor}`
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0)
}

function some(count: number, one: string, many: string = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`
}

type Row = Omit<ComplianceRow, 'shows'> & { readonly shows: (figures: Figures) => string }

const pci = standards[0]
const soc = standards[1]
const iso = standards[2]

const rows: readonly Row[] = [
  {
    standard: pci,
    clause: '10.2.1',
    asks: 'Logging is on wherever it has to be.',
    shows: ({ entries, review }) =>
      `${entries} in this time from ${some(review.instances.length, 'trail')}. A call whose entry cannot be kept gets no result, so use of a key through keytrail and logging go together.`,
    remains:
      'See that every program reaches its keys through keytrail only, and log the systems that hold no keys by other means.',
  },
  {
    standard: pci,
    clause: '10.2.1.1',
    asks: 'Who looked at cardholder data can be told.',
    shows: ({ review }) =>
      `Each decryption names key, actor and moment; ${some(review.actors.length + review.othersOfActors, 'actor')} in this time.`,
    remains:
      'Bind the acting person or service to each call, and use keys that belong to cardholder data alone: the trail knows keys, not card numbers.',
  },
  {
    standard: pci,
    clause: '10.2.1.2',
    asks: 'What administrators do can be told.',
    shows: ({ lifecycle, exported }) =>
      `${some(lifecycle, 'change')} to keys and ${some(exported, 'export')} stand with their actor; each has an entry before it takes effect.`,
    remains: 'Log what administrators do on the machines, databases and consoles themselves.',
  },
  {
    standard: pci,
    clause: '10.2.1.3',
    asks: 'Reading the logs is itself logged.',
    shows: () => 'Reading over the HTTP API leaves an entry (audit.read). Reading the files on disk leaves none.',
    remains:
      'Let the operating system record who opens the files of the trail, or let people read through the API only.',
  },
  {
    standard: pci,
    clause: '10.2.1.4',
    asks: 'Attempts that were refused can be told.',
    shows: ({ failed, denied }) =>
      `${some(failed, 'failed call')}, of which ${denied.toLocaleString('en-US')} for want of permission; bursts of equal refusals are joined and counted.`,
    remains: 'Log refused sign-ins of people where they sign in.',
  },
  {
    standard: pci,
    clause: '10.2.1.5',
    asks: 'Changes to identities and credentials can be told.',
    shows: ({ lifecycle, review }) =>
      `Keys are the credentials here: ${some(lifecycle, 'change')} to their life, of ${some(review.keys.length + review.othersOfKeys, 'key')} known. Rotations and changes of access policies to secrets are entries, too.`,
    remains: 'Accounts of people and their rights live elsewhere: log them there.',
  },
  {
    standard: pci,
    clause: '10.2.1.6',
    asks: 'Starting, stopping and pausing of the log can be told.',
    shows: ({ review: { log, silences, othersOfSilences } }) =>
      `The log was opened ${some(log.opened, 'time')} and recovered ${some(log.recovered, 'time')}; ${some(silences.length + othersOfSilences, 'silence')} longer than its heartbeats allow.`,
    remains: 'Explain each silence, and keep the explanation.',
  },
  {
    standard: pci,
    clause: '10.2.1.7',
    asks: 'Making and deleting of system-level objects can be told.',
    shows: ({ lifecycle }) => `Keys are such objects here: ${some(lifecycle, 'change')} to their life in this time.`,
    remains: 'Log the making and deleting of everything else of that rank.',
  },
  {
    standard: pci,
    clause: '10.2.2',
    asks: 'An entry says who, what, when, from where, on what, and how it ended.',
    shows: () =>
      'Each entry has actor, action, moment, outcome, key and version, and of a request its client address and user agent, unless the field policy leaves them out.',
    remains: 'Keep the field policy such that these remain, and give every call its context.',
  },
  {
    standard: pci,
    clause: '10.3.1',
    asks: 'Only those who need the logs can read them.',
    shows: () => 'Files are made for their owner alone. No key material, plaintext or token is in them.',
    remains: 'Give rights to the folder, to its copies and to this page by need.',
  },
  {
    standard: pci,
    clause: '10.3.2',
    asks: 'Nobody can change the logs.',
    shows: ({ verdict, anchor }) =>
      `A change cannot be prevented by a file, but it shows: entries are signed in one tree. This trail ${verdict}; ${anchor}.`,
    remains: 'Keep the signing key from those who administer the machine, and pins or witnesses out of their reach.',
  },
  {
    standard: pci,
    clause: '10.3.3',
    asks: 'Logs are copied soon to a place where they are hard to change.',
    shows: ({ anchor }) => `Followers can send each entry on as it becomes safe. For this review ${anchor}.`,
    remains: 'Run a follower or a backup to another system, and watch that it keeps up.',
  },
  {
    standard: pci,
    clause: '10.3.4',
    asks: 'Changes to logs are noticed.',
    shows: ({ verdict }) => `Verification recomputes every hash and signature; at this review the trail ${verdict}.`,
    remains: 'Verify on a schedule, from another machine, with a key and a pin kept there.',
  },
  {
    standard: pci,
    clause: '10.4.1, 10.4.1.1',
    asks: 'Logs are looked through daily, by automated means.',
    shows: ({ alarms }) =>
      `The rules went over every entry and raised ${some(alarms, 'alarm')} for somebody to look at.`,
    remains: 'Run the review every day, let it reach a person, and keep a note of who looked.',
  },
  {
    standard: pci,
    clause: '10.4.2, 10.4.2.1',
    asks: 'Other logs are looked through from time to time, as often as the risk asks.',
    shows: ({ review }) => `This page covers ${spanOf(review)}.`,
    remains: 'Decide by an analysis of your risks how often, write that down, and hold to it.',
  },
  {
    standard: pci,
    clause: '10.4.3',
    asks: 'What stands out is followed up.',
    shows: ({ review }) =>
      `${some(review.needsEyes.length, 'reason')} to look, each finding with its entries and what to do; suppressions have a reason and an end.`,
    remains: 'Follow each up, and keep what came of it.',
  },
  {
    standard: pci,
    clause: '10.5.1',
    asks: 'A year of history is kept, three months of it at hand.',
    shows: ({ review }) =>
      `${some(review.entriesRead, 'entry', 'entries')} could be read; ${some(review.log.pruned, 'pruning')} in this time. Retention can be held to a minimum number of days, which is part of what is signed.`,
    remains: 'Set that minimum to a year or more, and keep the archives that pruning writes.',
  },
  {
    standard: pci,
    clause: '10.6.1 to 10.6.3',
    asks: 'Clocks agree, and their settings are protected.',
    shows: ({ review }) =>
      `${some(review.log.clockSteps, 'step')} of the clock noticed. Order in the trail does not hang on the clock.`,
    remains: 'Synchronise the machines with a trusted source, and guard who may set them.',
  },
  {
    standard: pci,
    clause: '10.7.2, 10.7.3',
    asks: 'Failures of security controls are noticed, raised and answered.',
    shows: ({ downs, lost, review }) =>
      `Sinks went down ${some(downs, 'time')}, ${some(lost, 'entry', 'entries')} lost, ${some(review.log.refusedCalls, 'call')} refused because the log was unavailable: failures of the log are entries themselves.`,
    remains: 'Raise them at once with an alert, and record cause, duration and what was done about it.',
  },
  {
    standard: soc,
    clause: 'CC6.1',
    asks: 'Access to what must be protected is limited, and so are the keys that protect it.',
    shows: ({ review, unused, late, exported }) =>
      `${some(review.keys.length + review.othersOfKeys, 'key')}, each with those who decrypted with it; ${some(unused, 'key')} unused for 90 days, ${some(late, 'rotation')} late, ${some(exported, 'export')}.`,
    remains: 'Grant access by role, and go through the grants regularly against these tables.',
  },
  {
    standard: soc,
    clause: 'CC7.1',
    asks: 'Changes in configuration that open a weakness are detected.',
    shows: ({ lifecycle, review }) =>
      `${some(lifecycle, 'change')} to keys, and ${some(review.log.fieldPolicies.length, 'field policy', 'field policies')} of the log, are on record.`,
    remains: 'Scan systems and dependencies for weaknesses: the trail sees use of keys, not software.',
  },
  {
    standard: soc,
    clause: 'CC7.2',
    asks: 'Operations are watched for anomalies, which are then analysed.',
    shows: ({ review, alarms }) =>
      `Rules over ${some(review.detector.entries, 'entry', 'entries')}: volumes, networks, exports, refusals, rotations, the log itself. ${some(alarms, 'alarm')} for somebody to look at.`,
    remains: 'Watch the other systems as well, and tune the rules to what is ordinary for you.',
  },
  {
    standard: soc,
    clause: 'CC7.3',
    asks: 'Events are judged: is it an incident?',
    shows: ({ review }) =>
      `Each of ${some(review.findings.length + review.othersOfFindings, 'finding')} says what was seen, why it matters and in which entries.`,
    remains: 'Judge, and write the judgement down: that is a decision of people.',
  },
  {
    standard: soc,
    clause: 'CC7.4',
    asks: 'Incidents are answered by a plan.',
    shows: () =>
      'Findings say what to do first; entries can be handed over with a proof of their own (audit prove, audit timeline --prove).',
    remains: 'Have the plan, name who does what, and practise it.',
  },
  {
    standard: soc,
    clause: 'CC7.5',
    asks: 'After an incident things are put right again.',
    shows: ({ review }) =>
      `${some(review.log.recovered, 'recovery', 'recoveries')} of the log and ${some(review.log.restored, 'restored keystore')} on record; ${some(review.log.openIntents.length, 'change')} still without a known end.`,
    remains: 'Rotate what was exposed, restore from backups that were tried, and learn from it.',
  },
  {
    standard: iso,
    clause: 'A.8.15',
    asks: 'Activities, exceptions and faults are logged; logs are kept, protected and analysed.',
    shows: ({ entries, verdict, alarms }) =>
      `${entries}, refusals and faults among them. The trail ${verdict}. The rules raised ${some(alarms, 'alarm')} for somebody to look at.`,
    remains: 'Say in a policy what is logged, for how long and who reads it, and protect the copies likewise.',
  },
  {
    standard: iso,
    clause: 'A.8.16',
    asks: 'Systems are monitored for behaviour that is out of the ordinary.',
    shows: ({ review }) =>
      `${some(review.findings.length + review.othersOfFindings, 'finding')} in ${spanOf(review)}, against a baseline that each key and actor has of its own.`,
    remains: 'Monitor networks and applications, too, and see that alarms reach somebody at night.',
  },
  {
    standard: iso,
    clause: 'A.8.17',
    asks: 'Clocks are synchronised with an approved source.',
    shows: ({ review }) => `${some(review.log.clockSteps, 'step')} of a clock seen in the log.`,
    remains: 'Choose the source, and synchronise every machine with it.',
  },
  {
    standard: iso,
    clause: 'A.8.24',
    asks: 'There are rules for the use of cryptography and for the life of keys, and they are kept.',
    shows: ({ review, late, lifecycle }) =>
      `${some(review.keys.length + review.othersOfKeys, 'key')} with type, version and rotation against policy; ${some(late, 'rotation')} late; ${some(lifecycle, 'change')} to their life.`,
    remains: 'Write the rules: which keys, which lengths, how long, who may; and hold these figures against them.',
  },
]

const dayMs = 86_400_000

function spanOf({ from, to }: Review): string {
  const days = Math.max(1, Math.round((Date.parse(to) - Date.parse(from)) / dayMs))
  return some(days, 'day')
}
