/** Actors: who did what in the time reviewed, from how many networks, with how many agents and keys. */
import { normalizeIp, prefixOf } from '../model/ip.ts'
import { type Fact, momentText, textOf } from './fact.ts'
import type { ReviewedActor } from './review.ts'
import { addTo, boundedRows, byCount, count, firstRows, type Room } from './rows.ts'

export interface Actors {
  take(fact: Fact): void
  told(): { readonly rows: readonly ReviewedActor[]; readonly others: number }
  /** Calls of actors that found no room. */
  readonly leftOut: number
}

interface Row {
  readonly uses: Map<string, number>
  calls: number
  failures: number
  readonly keys: Set<string>
  readonly networks: Set<string>
  readonly userAgents: Set<string>
  firstAt: number
  lastAt: number
  /** What the last call told: most calls tell the same again. */
  lastIp: unknown
  lastAgent: unknown
}

export function collectActors(room: Room): Actors {
  const rows = boundedRows<Row>(() => ({
    ...{ uses: new Map(), calls: 0, failures: 0 },
    ...{ keys: new Set(), networks: new Set(), userAgents: new Set() },
    ...{ firstAt: Number.POSITIVE_INFINITY, lastAt: Number.NEGATIVE_INFINITY },
    ...{ lastIp: undefined, lastAgent: undefined },
  }))
  return {
    take({ entry, isCall, within, action, outcome, weight, key, actor, at }) {
      if (!isCall || !within) return
      const row = rows.of(actor)
      if (row === undefined) return
      row.calls += weight
      if (outcome === 'success') count(row.uses, action, weight)
      else if (outcome === 'failure') row.failures += weight
      if (at < row.firstAt) row.firstAt = at
      if (at > row.lastAt) row.lastAt = at
      addTo(row.keys, key, room)
      const { clientIp, userAgent } = entry.context ?? {}
      if (clientIp !== row.lastIp) {
        row.lastIp = clientIp
        addTo(row.networks, networkOf(clientIp), room)
      }
      if (userAgent !== row.lastAgent) {
        row.lastAgent = userAgent
        addTo(row.userAgents, textOf(userAgent), room)
      }
    },
    told() {
      const sorted = rows.all().toSorted(
        byCount(
          ([, { calls }]) => calls,
          ([actor]) => actor,
        ),
      )
      const { rows: first, others } = firstRows(sorted)
      return { rows: first.map(([actor, row]) => actorOf(actor, row)), others }
    },
    get leftOut() {
      return rows.leftOut
    },
  }
}

function actorOf(actor: string, row: Row): ReviewedActor {
  return {
    actor,
    uses: Object.fromEntries(row.uses),
    failures: row.failures,
    ...{ keys: row.keys.size, networks: row.networks.size, userAgents: row.userAgents.size },
    ...{ firstAt: momentText(row.firstAt), lastAt: momentText(row.lastAt) },
  }
}

/** What is no address, since the field policy hashes it or keeps its network alone, stands for itself. */
function networkOf(clientIp: unknown): string | undefined {
  const text = textOf(clientIp)
  const address = text === undefined ? undefined : normalizeIp(text)
  return address === undefined ? text : prefixOf(address)
}
