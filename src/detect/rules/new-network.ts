/** An actor that calls from a network where it was not seen for a month. */
import { msOf } from '../../model/duration.ts'
import { groupsOfIp, normalizeIp, prefixOf } from '../../model/ip.ts'
import { isYoung, learningPeriod } from '../learning.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { counted, word } from '../words.ts'

interface Place {
  readonly network: string
  /** The /16 or /32 around it. */
  readonly wide: string
  /** What addresses in it begin with, in IPv4; of IPv6, whose texts are shortened, a text that none begins with. */
  readonly head: string
  readonly first: number
  last: number
  /** Of a place far from all others: what is read from there, until it is enough or too late. */
  reads: { count: number; readonly needed: number; readonly until: number; readonly ids: string[] } | null
}

interface Cell {
  first: number
  places: Place[]
}

const hour = 3_600_000
const mostPlaces = 24
const mostAddresses = 20_000
const reading = new Set(['kms.decrypt', 'kms.re_encrypt', 'kms.sign', 'kms.hmac', 'kms.export', 'secret.get_value'])

export const newNetwork: Rule = defineRule({
  id: 'new-network',
  title: 'Calls from a network that is new for the actor',
  level: 'low',
  attack: ['T1078.004'],
  why: 'A stolen credential is used from where the thief is. Most programs, and most people, call from a few networks.',
  falsePositives: [
    'A person who travels, a new office, another provider at home.',
    'A region or a cluster that is added.',
  ],
  whatToDo:
    'Ask the person, or the owner of the service, whether they were there. If not, revoke the credential and look at all its entries from that network.',
  actions: ['kms.*', 'kms_key.*', 'secret.*'],
  parameters: {
    /** How long a network is remembered after its last use. */
    memory: '30d',
    /** Of each actor, since it was first seen. */
    learning: '14d',
    /**
     * So many decrypts, signatures and the like within an hour raise the level to medium, if no known network lies in the same /16 (IPv4) or
     * /32 (IPv6); for whoever moved before, as many times more.
     */
    reads: 5,
  },
  watch({ memory, learning, reads }, tools) {
    const span = msOf('memory', memory)
    const young = msOf('learning', learning)
    const learned = learningPeriod(tools, young)
    const cells = tools.table<Cell>('actors', { max: 5000, make: () => ({ first: -1, places: [] }) })
    const networkOf = networkReader()

    return {
      take(seen) {
        const { entry, at, actor } = seen
        const knowsEnough = learned.isOver(at)
        const ip = entry.context?.clientIp
        // Whoever names nobody is many, and comes from everywhere.
        if (typeof ip !== 'string' || actor === undefined) return
        const cell = cells.of(actor)
        const near = headOf(cell.places, ip)
        const network = near ?? networkOf(ip)
        if (network === undefined) return
        const place = near ?? placeOf(cell.places, network.network)
        if (place !== undefined && at - place.last < span) {
          if (at - place.last > hour || at < place.last) place.last = at
          if (place.reads !== null) follow(place, seen)
          return
        }
        const arrived = arrive(cell, network, at)
        if (!knowsEnough || isYoung(at, cell.first, young)) return
        const moves = arrived.others.filter(({ first }) => first - cell.first >= young).length
        if (arrived.isFar)
          arrived.place.reads = { count: 0, needed: reads * (1 + moves), until: at + hour, ids: [entry.eventID] }
        tools.report({
          subject: { actor, source: network.network },
          evidence: [entry.eventID],
          says: `${word(actor)} called from ${word(network.network)}, where it was not seen before`,
        })
        if (arrived.isFar) follow(arrived.place, seen)
      },
    }

    /** The actor is somewhere else; the place that was left the longest ago is forgotten. */
    function arrive(cell: Cell, { network, wide, head }: Network, at: number) {
      if (cell.first < 0) cell.first = at
      const others = cell.places.filter((place) => at - place.last < span)
      const place: Place = { network, wide, head, first: at, last: at, reads: null }
      const isFar = others.every((other) => other.wide !== wide)
      const newest = [...others].sort((one, other) => other.last - one.last).slice(0, mostPlaces - 1)
      cell.places = [...newest, place]
      return { place, others, isFar }
    }

    function follow(place: Place, { entry, at, actor = '' }: Seen): void {
      const { reads: followed, network } = place
      if (followed === null) return
      if (at >= followed.until || at < followed.until - 2 * hour) {
        place.reads = null
        return
      }
      if (entry.outcome !== 'success' || !reading.has(entry.action)) return
      followed.count += 1
      if (followed.ids.length < 20 && followed.ids.at(-1) !== entry.eventID) followed.ids.push(entry.eventID)
      if (followed.count < followed.needed) return
      place.reads = null
      tools.report({
        level: 'medium',
        subject: { actor, source: network },
        evidence: followed.ids.at(-1) === entry.eventID ? followed.ids : [...followed.ids, entry.eventID],
        count: followed.count,
        from: place.first,
        to: at,
        says: `${word(actor)} called from ${word(network)}, far from where it was before, and read or signed ${counted(followed.count, 'time')} at once`,
      })
    }
  },
  examples: [
    {
      says: 'far away, and five decrypts follow',
      findings: 2,
      levels: ['low', 'medium'],
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.decrypt', times: 9, every: '1m', with: { context: { clientIp: '203.0.113.9' } } },
      ],
    },
    {
      says: 'four of them, and the next ones hours later',
      findings: 1,
      levels: ['low'],
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.decrypt', times: 4, with: { context: { clientIp: '203.0.113.9' } } },
        { action: 'kms.decrypt', after: '2h', times: 9, with: { context: { clientIp: '203.0.113.9' } } },
      ],
    },
    {
      says: 'who moved before has to read twice as much',
      findings: 2,
      levels: ['low', 'low'],
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.decrypt', times: 4, with: { context: { clientIp: '203.0.113.9' } } },
        { action: 'kms.decrypt', after: '2h', times: 9, with: { context: { clientIp: '198.51.100.9' } } },
      ],
    },
    {
      says: 'encrypts only',
      findings: 1,
      levels: ['low'],
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.encrypt', times: 50, with: { context: { clientIp: '2001:db8:1::7' } } },
      ],
    },
    {
      says: 'nearby, in the same /16: pods move',
      findings: 1,
      levels: ['low'],
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.decrypt', times: 50, with: { context: { clientIp: '192.0.77.1' } } },
      ],
    },
    {
      says: 'another address of the same network',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        {
          action: 'kms.decrypt',
          times: 50,
          with: (number) => ({ context: { clientIp: `192.0.2.${number}`, userAgent: 'api/1.0' } }),
        },
      ],
    },
    {
      says: 'a network that was used three weeks ago',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 4, with: { context: { clientIp: '203.0.113.9' } } },
        { action: 'kms.decrypt', after: '1h', times: 84, every: '6h' },
        { action: 'kms.decrypt', times: 9, with: { context: { clientIp: '203.0.113.9' } } },
      ],
    },
    {
      says: 'a network that was left five weeks ago',
      findings: 2,
      steps: [
        { action: 'kms.decrypt', times: 4, with: { context: { clientIp: '203.0.113.9' } } },
        { action: 'kms.decrypt', after: '1h', times: 140, every: '6h' },
        { action: 'kms.decrypt', times: 9, with: { context: { clientIp: '203.0.113.9' } } },
      ],
    },
    {
      says: 'an actor who is new itself',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        {
          action: 'kms.decrypt',
          times: 9,
          with: (number) => ({
            actor: { type: 'user', id: 'new' },
            context: { clientIp: `203.0.${number}.9` },
          }),
        },
      ],
    },
    {
      says: 'addresses that are hashed or not told, and callers unknown',
      findings: 0,
      steps: [
        { action: 'kms.decrypt', times: 60, every: '6h' },
        { action: 'kms.decrypt', times: 9, with: { context: { clientIp: 'h:AAAAAAAAAAAAAAAAAAAAAA' } } },
        { action: 'kms.decrypt', times: 9, with: { context: {} } },
        { action: 'kms.decrypt', times: 9, with: { actor: { type: 'unknown' }, context: { clientIp: '203.0.113.9' } } },
      ],
    },
  ],
})

/** Without reading the address: most calls come from where the last ones came from. */
function headOf(places: readonly Place[], ip: string): Place | undefined {
  for (const place of places) if (ip.startsWith(place.head)) return place
  return undefined
}

function placeOf(places: readonly Place[], network: string): Place | undefined {
  for (const place of places) if (place.network === network) return place
  return undefined
}

type Network = Pick<Place, 'network' | 'wide' | 'head'>

/** Reads each address once. Undefined for a hash, of which no network can be told. */
function networkReader(): (ip: string) => Network | undefined {
  const known = new Map<string, Network | undefined>()
  return (ip) => {
    const network = known.get(ip)
    if (network !== undefined || known.has(ip)) return network
    if (known.size >= mostAddresses) known.clear()
    const read = readNetwork(ip)
    known.set(ip, read)
    return read
  }
}

function readNetwork(ip: string): Network | undefined {
  // A field policy may have left the network alone.
  const address = normalizeIp(ip.split('/')[0] ?? ip)
  if (address === undefined) return undefined
  const network = prefixOf(address)
  const [first, second] = groupsOfIp(address) ?? []
  if (address.includes(':')) return { network, wide: `6 ${first} ${second}`, head: '::/48' }
  return { network, wide: `4 ${first} ${second}`, head: network.replace(/0\/24$/, '') }
}
