/** Like calls of an hour become one step of a story: a thousand decryptions are one fact, and a rotation among them is another. */
import type { AuditEntry } from '../../model/entry.ts'
import { operations } from '../../model/operation.ts'
import { visible } from '../../sinks/render.ts'
import type { TrailEntry } from '../../trail/reading/read.ts'
import type { TimelineStep, Told } from './timeline.ts'

interface Fold {
  readonly first: TrailEntry
  readonly relation: Told['relation']
  readonly head: TrailEntry[]
  tail: TrailEntry[]
  last: TrailEntry
  count: number
  failed: number
}

const foldMs = 3_600_000
const kept = 20
/** More kinds of calls at once than this, and the oldest step is told early. */
const mostOpen = 1000

/**
 * Steps in the order of their first entries. A change, or an entry of the log, is a step of its own, and ends what was folded
 * before it: what follows it is told after it.
 */
export async function* folded(
  story: AsyncIterable<Told>,
  single: (told: Told) => TimelineStep,
): AsyncGenerator<TimelineStep, void, undefined> {
  const open = new Map<string, Fold>()
  for await (const told of story) {
    const { entry } = told.found
    if (!isUse(entry)) {
      yield* closed(open, single)
      yield single(told)
      continue
    }
    // By first entry: the order of a Map.
    for (const [, fold] of open) {
      if (Date.parse(entry.createdAt) - Date.parse(fold.first.entry.createdAt) < foldMs && open.size < mostOpen) break
      yield* closed(open, single, 1)
    }
    add(open, told)
  }
  yield* closed(open, single)
}

function* closed(
  open: Map<string, Fold>,
  single: (told: Told) => TimelineStep,
  most = open.size,
): Generator<TimelineStep> {
  let left = most
  for (const [name, fold] of open) {
    if (left-- <= 0) return
    open.delete(name)
    yield fold.head.length === 1 ? single({ found: fold.first, relation: fold.relation }) : stepOf(fold)
  }
}

const uses: ReadonlySet<string> = new Set([
  ...Object.values(operations)
    .filter(({ kind }) => kind === 'crypto' || kind === 'read')
    .map(({ action }) => action),
  'secret.get_value',
  'secret.describe',
  'secret.list',
  'api.request',
])

/** How many calls an entry tells of: refusals that are alike are joined. */
export function callsOf({ details }: AuditEntry): number {
  const joined: unknown = details?.joined
  return typeof joined === 'number' ? joined : 1
}

function isUse({ action, phase }: AuditEntry): boolean {
  return phase === 'result' && uses.has(action)
}

function add(open: Map<string, Fold>, { found, relation }: Told): void {
  const { entry } = found
  const { action, actor, context, keySlug, resourceIdentity, valid } = entry
  const name = JSON.stringify([action, actor?.type, actor?.id, keySlug, resourceIdentity, context?.clientIp, valid])
  const count = callsOf(entry)
  const failed = entry.outcome === 'failure' ? count : 0
  const fold = open.get(name)
  if (fold === undefined) {
    open.set(name, { first: found, relation, head: [found], tail: [], last: found, count, failed })
    return
  }
  fold.count += count
  fold.failed += failed
  fold.last = found
  if (fold.head.length < kept) fold.head.push(found)
  else fold.tail = [...fold.tail.slice(1 - kept / 2), found]
}

function stepOf({ first, relation, head, tail, last, count, failed }: Fold): TimelineStep {
  const entries =
    tail.length === 0 ? head : [...[...head, ...tail].slice(0, kept / 2), ...[...head, ...tail].slice(-kept / 2)]
  return {
    ...{ at: first.entry.createdAt, until: last.entry.createdAt, relation, count, failed, entries },
    says: sentenceOfFold(first.entry, { count, failed }),
  }
}

function sentenceOfFold(
  first: AuditEntry,
  { count, failed }: { readonly count: number; readonly failed: number },
): string {
  const { action, actor, keySlug, resourceType, resourceIdentity, context, valid } = first
  const what = resourceType === 'secret' ? resourceIdentity : (keySlug ?? resourceIdentity)
  const verdict = valid === undefined ? '' : valid ? ' (valid)' : ' (not valid)'
  const words = [
    `${visible(action)}${verdict} × ${count.toLocaleString('en-US')}`,
    what && `with ${visible(what)}`,
    `by ${actor?.id === undefined ? 'an unknown caller' : `${visible(actor.type)} ${visible(actor.id)}`}`,
    context?.clientIp && `from ${visible(context.clientIp)}`,
  ]
  const sentence = words.filter((part) => part !== undefined && part !== '').join(' ')
  return failed === 0 ? sentence : `${sentence}, ${failed.toLocaleString('en-US')} failed`
}
