/** Actors: who did what in the time reviewed, from how many networks, with how many agents and keys. */
import { normalizeIp, prefixOf } from '../model/ip.ts'
import { type Fact, momentText, textOf } from './fact.ts'
import type { ReviewedActor } from './review.ts'
import { addTo, boundedRows, byCount, type Counts, countsByName, firstRows, type Room } from './rows.ts'

export interface Actors {
  take(fact: Fact): void
  told(): { readonly rows: readonly ReviewedActor[]; readonly others: number }
  /** Calls of actors that found no room. */
  readonly leftOut: number
}

interface Row {
  readonly uses: Counts
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
    ...{ uses: countsByName(), calls: 0, failures: 0 },
    ...{ keys: new Set(), networks: new Set(), userAgents: new Set() },
    ...{ firstAt: Number.POSITIVE_INFINITY, lastAt: Number.NEGATIVE_INFINITY },
    ...{ lastIp: undefined, lastAgent: undefined },
  }))
  const networkOf = networkReader()
  return {
    take({ entry, isCall, within, action, outcome, weight, key, actor, at }) {
      if (!isCall || !within) return
      const row = rows.of(actor)
      if (row === undefined) return
      row.calls += weight
      if (outcome === 'success') row.uses.add(action, weight)
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
    uses: Object.fromEntries(row.uses.all),
    failures: row.failures,
    ...{ keys: row.keys.size, networks: row.networks.size, userAgents: row.userAgents.size },
    ...{ firstAt: momentText(row.firstAt), lastAt: momentText(row.lastAt) },
  }
}

const mostAddresses = 50_000

/** What is no address, since the field policy hashes it or keeps its network alone, stands for itself. */
function networkReader(): (clientIp: unknown) => string | undefined {
  const known = new Map<unknown, string | undefined>()
  return (clientIp) => {
    const network = known.get(clientIp)
    if (network !== undefined) return network
    const text = textOf(clientIp)
    const address = text === undefined ? undefined : normalizeIp(text)
    const made = address === undefined ? text : prefixOf(address)
    if (known.size >= mostAddresses) known.clear()
    known.set(clientIp, made)
    return made
  }
}
