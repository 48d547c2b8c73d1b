/** @node The story of a key, of an actor, or of what happened around one entry, in the order of the trail. */
import type { AuditEntry } from '../../model/entry.ts'
import { KmsError } from '../../model/errors.ts'
import { readTrail, type TrailEntry } from '../../trail/reading/read.ts'
import { callsOf, folded } from './folding.ts'
import { namesOf } from './names.ts'
import { type Relation, relations } from './relations.ts'
import { sentenceOf } from './sentence.ts'

/** Exactly one of `key`, `actor` and `around`. */
export interface TimelineOptions {
  /** Slug or identity. */
  readonly key?: string
  /** Id, or type and id as in `user:alice`. */
  readonly actor?: string
  /** `eventID` of an entry. */
  readonly around?: string
  /** Around an entry: so far back and ahead, ms; 15 minutes by default. */
  readonly spanMs?: number
  /** From this moment on, and before that one. RFC 3339 text or a `Date`. Not with `around`. */
  readonly from?: string | Date
  readonly to?: string | Date
  /** Each call by itself: like calls of an hour are otherwise one step. */
  readonly unfolded?: true
}

/** One entry, or several alike that are one step of the story. */
export interface TimelineStep {
  /** The first entry's. */
  readonly at: string
  /** The last entry's; `at` of a single one. */
  readonly until: string
  /** One sentence, without a full stop. What it quotes of entries is escaped as on a terminal. */
  readonly says: string
  /** How the entry came into a story around another one; `asked` is that one. */
  readonly relation: Relation
  /** How many entries it stands for, and how many of them failed. Joined refusals count one by one. */
  readonly count: number
  readonly failed: number
  /** The entries themselves: all of them up to 20, else the first and the last ten. */
  readonly entries: readonly TrailEntry[]
}

export const defaultSpanMs: number = 15 * 60_000

/**
 * Tells the story, step by step, with the entries of secrets that belong to it. Reads the trail (one instance, the parent of
 * many, or an archive) once, and once before to learn what else a key is called, or when the entry asked for was written.
 * Nothing is verified: `verifyTrail` does that.
 *
 * Errors: `INVALID_INPUT` for wrong options, no trail, no such entry, or no entry of that key; those of `readTrail`.
 *
 * @example
 * ```ts
 * for await (const { at, says } of timelineOf('./audit', { key: 'orders' })) console.log(at, says)
 * ```
 */
export async function* timelineOf(
  path: string,
  options: TimelineOptions,
): AsyncGenerator<TimelineStep, void, undefined> {
  checkOptions(options)
  const story = storyOf(path, options)
  if (options.unfolded === true || options.around !== undefined) for await (const each of story) yield stepOf(each)
  else yield* folded(story, stepOf)
}

/** Every entry of the story, none folded. Errors: as {@link timelineOf}. */
export async function* entriesOfStory(
  path: string,
  options: TimelineOptions,
): AsyncGenerator<TrailEntry, void, undefined> {
  checkOptions(options)
  for await (const { found } of storyOf(path, options)) yield found
}

/** An entry of the story. */
export interface Told {
  readonly found: TrailEntry
  readonly relation: Relation
}

function storyOf(path: string, options: TimelineOptions): AsyncGenerator<Told, void, undefined> {
  const { key, actor, around } = options
  if (around !== undefined) return aroundEntry(path, around, options.spanMs ?? defaultSpanMs)
  if (key !== undefined) return ofKey(path, key, options)
  return ofActor(path, actor ?? '', options)
}

async function* ofKey(path: string, key: string, options: TimelineOptions): AsyncGenerator<Told, void, undefined> {
  const names = await namesOf(path, key)
  if (names.length === 0) throw new KmsError('INVALID_INPUT', 'no entry is about that key')
  for await (const found of readTrail(path, { key: names, ...rangeOf(options) })) yield { found, relation: 'same key' }
}

async function* ofActor(path: string, actor: string, options: TimelineOptions): AsyncGenerator<Told, void, undefined> {
  const [, type, id = actor] = /^(user|serviceAccount|client|system):(.*)$/s.exec(actor) ?? []
  for await (const found of readTrail(path, { actor: id, ...rangeOf(options) }))
    if (type === undefined || found.entry.actor?.type === type) yield { found, relation: 'same actor' }
}

async function* aroundEntry(path: string, eventID: string, spanMs: number): AsyncGenerator<Told, void, undefined> {
  let asked: AuditEntry | undefined
  for await (const { entry } of readTrail(path, { eventID, limit: 1 })) asked = entry
  if (asked === undefined) throw new KmsError('INVALID_INPUT', 'there is no entry of that eventID')
  const at = Date.parse(asked.createdAt)
  const relate = relations(asked)
  const range = { from: new Date(at - spanMs), to: new Date(at + spanMs + 1) }
  for await (const found of readTrail(path, range)) {
    const relation = relate(found.entry)
    if (relation !== undefined) yield { found, relation }
  }
}

function rangeOf({ from, to }: TimelineOptions): { readonly from?: string | Date; readonly to?: string | Date } {
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
}

function stepOf({ found, relation }: Told): TimelineStep {
  const { entry } = found
  const count = callsOf(entry)
  const { createdAt: at } = entry
  const failed = entry.outcome === 'failure' ? count : 0
  return { at, until: at, says: sentenceOf(entry), relation, count, failed, entries: [found] }
}

function checkOptions(options: TimelineOptions): void {
  const { key, actor, around, spanMs = defaultSpanMs, from, to } = options
  const asked = [key, actor, around].filter((one) => one !== undefined)
  if (asked.length !== 1 || typeof asked[0] !== 'string' || asked[0] === '')
    throw new KmsError('INVALID_INPUT', "give exactly one of 'key', 'actor' and 'around', as text")
  if (around !== undefined && (from !== undefined || to !== undefined))
    throw new KmsError('INVALID_INPUT', "around an entry 'spanMs' says how far: leave 'from' and 'to' out")
  if (!Number.isSafeInteger(spanMs) || spanMs < 0 || spanMs > longestSpanMs)
    throw new KmsError('INVALID_INPUT', "'spanMs' must be whole milliseconds, at most 31 days")
}

const longestSpanMs = 31 * 86_400_000
