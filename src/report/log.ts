/** What the log tells of itself: losses, refusals, starts, repairs, and what it was told to keep. */
import { countOf, type Fact, momentText, textOf } from './fact.ts'
import type { ReviewedLog } from './review.ts'
import { boundedRows, compareText, newestOf } from './rows.ts'

export interface Logs {
  take(fact: Fact): void
  told(): Omit<ReviewedLog, 'missing' | 'openIntents'>
}

const mostSinks = 1000

export function collectLog(): Logs {
  const sinks = boundedRows(() => ({ dropped: 0, downs: 0 }), mostSinks)
  // What each start has told of its refused calls so far: its last word counts all of them.
  const refusedBy = boundedRows(() => ({ told: 0 }))
  const policies = newestOf<{ readonly at: string; readonly fields: string }>()
  /** The newest of each trail. */
  const policyOf = boundedRows<Policy>(() => ({ fields: '', at: 0, isTold: true }))
  const counts = { opened: 0, recovered: 0, quarantinedBytes: 0, pruned: 0, restored: 0, clockSteps: 0 }
  let refusedCalls = 0

  return {
    take(fact) {
      const { entry, action, isResult, within } = fact
      if (!isResult || !action.startsWith('audit.')) return
      if (action === 'audit.sink_up' || action === 'audit.closed') hearRefused(fact)
      if (action === 'audit.opened') hearPolicy(fact, within)
      if (!within) return
      const { details } = entry
      switch (action) {
        case 'audit.opened':
          counts.opened += 1
          break
        case 'audit.dropped':
        case 'audit.sink_down': {
          const sink = sinks.of(textOf(details?.sink) ?? 'unknown')
          if (sink === undefined) break
          if (action === 'audit.sink_down') sink.downs += 1
          // Where it does not tell how many, it was at least one.
          else sink.dropped += countOf(details?.dropped) ?? 1
          break
        }
        case 'audit.recovered':
          counts.recovered += 1
          counts.quarantinedBytes += countOf(details?.quarantinedBytes) ?? 0
          break
        case 'audit.pruned':
          counts.pruned += 1
          break
        case 'audit.restored':
          counts.restored += 1
          break
        case 'audit.clock_stepped':
          counts.clockSteps += 1
          break
      }
    },
    told() {
      return {
        sinks: sinks
          .all()
          .map(([sink, row]) => ({ sink, ...row }))
          .sort((a, b) => compareText(a.sink, b.sink)),
        refusedCalls,
        ...counts,
        fieldPolicies: policiesInForce(),
      }
    },
  }

  /** A sink that is up again tells those since it went down, a closed log all of its start. */
  function hearRefused({ entry, action, within }: Fact): void {
    const writer = refusedBy.of(textOf(entry.instance) ?? 'unknown')
    const count = countOf(entry.details?.refusedCalls)
    if (count === undefined || writer === undefined) return
    const more = action === 'audit.closed' ? Math.max(0, count - writer.told) : count
    writer.told += more
    if (within) refusedCalls += more
  }

  function hearPolicy({ entry, instance, at }: Fact, within: boolean): void {
    const policy = policyOf.of(instance)
    const fields = textOf(entry.details?.fields)
    if (policy === undefined || fields === undefined || policy.fields === fields) return
    // What was in force when the time reviewed begins, once it is known to be the last of before.
    if (within) tell(policy)
    Object.assign(policy, { fields, at, isTold: false })
    if (within) tell(policy)
  }

  function tell(policy: Policy): void {
    if (policy.isTold) return
    policy.isTold = true
    policies.add({ at: momentText(policy.at), fields: policy.fields })
  }

  /** By time; several trails of one policy tell it once. */
  function policiesInForce(): ReviewedLog['fieldPolicies'] {
    for (const [, policy] of policyOf.all()) tell(policy)
    const sorted = policies.items.toSorted((a, b) => compareText(a.at, b.at))
    return sorted.filter(({ fields }, at) => fields !== sorted[at - 1]?.fields)
  }
}

interface Policy {
  fields: string
  at: number
  isTold: boolean
}
