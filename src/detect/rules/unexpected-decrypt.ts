/** A decrypt by whom, or from where, it is not expected. */
import { msOf } from '../../model/duration.ts'
import { KmsError } from '../../model/errors.ts'
import { compileGlobs } from '../../model/globs.ts'
import { inNetworks, type Network, parseNetworks } from '../../model/networks.ts'
import { quietFor } from '../quiet.ts'
import { defineRule, type Rule, type Seen } from '../rule.ts'
import { word } from '../words.ts'

/** By pattern of a key's slug or identity. */
type Lists = { readonly [key: string]: readonly string[] }

/** What is expected of one key; undefined where nothing is said. */
interface Expected {
  readonly isReader: ((actor: string | undefined) => boolean) | undefined
  readonly networks: readonly Network[] | undefined
  /** Verdicts by address: each is read once. */
  readonly seen: Map<string, boolean>
}

const none: Lists = {}
const nowhere: readonly string[] = []
/** Verdicts that are remembered; then all are given up. */
const mostVerdicts = 20_000

export const unexpectedDecrypt: Rule = defineRule({
  id: 'unexpected-decrypt',
  title: 'Decrypted by or from where nobody expects it',
  level: 'high',
  attack: ['T1078', 'T1552'],
  why: 'Most keys have few readers in few places. Whoever else can read has a permission too many, or stolen credentials.',
  falsePositives: ['A new service, a new network, or a person on call who is not on the list yet.'],
  whatToDo:
    'If the actor belongs there, add it to the list. If not, take its permission away and see what it read by the entries of this actor.',
  // A ciphertext moved to another key can be read there.
  actions: ['kms.decrypt', 'kms.re_encrypt'],
  parameters: {
    /**
     * Who may decrypt, by key: `{ payroll: ['serviceAccount:payroll-*'], '*': ['serviceAccount:*'] }`. A key is named by slug, identity
     * or a pattern with `*`; the key `*` stands for those that no other name matches. The actor `unknown` stands for callers who name
     * nobody, which no other pattern matches. An empty list: nobody.
     */
    actors: none,
    /** Where from, for keys that have no `keyNetworks`: CIDR. Entries that tell no address are not judged by it. */
    networks: nowhere,
    /** Where from, by key as above. */
    keyNetworks: none,
    /** After a finding, for the same key and actor, or key and address. */
    quiet: '1d',
  },
  check({ actors, networks, keyNetworks }) {
    parseNetworks('unexpected-decrypt.networks', networks)
    for (const [key, list] of Object.entries(keyNetworks)) parseNetworks(`unexpected-decrypt.keyNetworks.${key}`, list)
    for (const [key, list] of Object.entries(actors))
      if (!Array.isArray(list) || list.some((each: unknown) => typeof each !== 'string' || !isPattern(each)))
        throw new KmsError(
          'INVALID_INPUT',
          `'unexpected-decrypt.actors.${key}' must be a list of actors such as serviceAccount:billing-*, * or unknown`,
        )
  },
  watch({ actors, networks, keyNetworks, quiet }, tools) {
    const { mayTell } = quietFor(tools, { name: 'told', span: msOf('quiet', quiet) })
    const everywhere = networks.length === 0 ? undefined : parseNetworks('networks', networks)
    const actorsOf = listOf(actors)
    const networksOf = listOf(keyNetworks)
    const isSilent = everywhere === undefined && actorsOf === undefined && networksOf === undefined
    const byKey = new Map<string, Expected>()
    let verdicts = 0

    return {
      take(seen) {
        if (isSilent || seen.key === undefined || seen.entry.outcome !== 'success') return
        const { isReader, networks: places, seen: judged } = expectedOf(seen.key, seen.keyName ?? seen.key)
        if (isReader !== undefined && !isReader(seen.actor)) tell(seen, undefined)
        const ip = seen.entry.context?.clientIp
        if (places === undefined || ip === undefined) return
        if (judged.get(ip) ?? judge(judged, ip, places)) return
        tell(seen, ip)
      },
    }

    function expectedOf(key: string, name: string): Expected {
      const known = byKey.get(key)
      if (known !== undefined) return known
      const readers = actorsOf?.(key, name)
      const places = networksOf?.(key, name)
      const made = {
        isReader: readers && readerTest(readers),
        networks: places === undefined ? everywhere : parseNetworks('keyNetworks', places),
        seen: new Map<string, boolean>(),
      }
      makeRoom()
      byKey.set(key, made)
      return made
    }

    function judge(judged: Map<string, boolean>, ip: string, places: readonly Network[]): boolean {
      // A field policy leaves an address, its network, or a hash, of which nothing can be told.
      const isInside = ip.startsWith('h:') || inNetworks(places, ip.split('/')[0] ?? ip)
      makeRoom()
      judged.set(ip, isInside)
      return isInside
    }

    function makeRoom(): void {
      verdicts += 1
      if (verdicts <= mostVerdicts) return
      verdicts = 1
      byKey.clear()
    }

    function tell({ entry, at, actor, pair = '', key = '', keyName = key }: Seen, ip: string | undefined): void {
      if (!mayTell(ip === undefined ? pair : `${ip} ${key}`, at)) return
      const who = actor === undefined ? 'somebody unknown' : word(actor)
      const did = entry.action === 'kms.decrypt' ? 'decrypted with' : 're-encrypted from'
      const place = ip === undefined ? '' : ` from ${word(ip)}`
      tools.report({
        subject: { key: keyName, ...(actor !== undefined && { actor }), ...(ip !== undefined && { source: ip }) },
        evidence: [entry.eventID],
        says: `${who} ${did} key ${word(keyName)}${place}, which is not ${ip === undefined ? 'on the list of its readers' : 'among the networks expected'}`,
      })
    }
  },
  examples: [
    {
      says: 'nothing is configured',
      findings: 0,
      steps: [{ action: 'kms.decrypt', times: 5 }],
    },
    {
      says: 'an actor who is not on the list, told once',
      findings: 1,
      levels: ['high'],
      parameters: { actors: { orders: ['serviceAccount:billing'] } },
      steps: [{ action: 'kms.decrypt', times: 5 }],
    },
    {
      says: 'an actor on the list, by a pattern; and a key of which nothing is said',
      findings: 0,
      parameters: { actors: { orders: ['user:bob', 'serviceAccount:a*'], payroll: ['user:eve'] } },
      steps: [{ action: 'kms.decrypt', times: 5 }],
    },
    {
      says: 'the list of a key counts in place of the one of all keys, and names match slug or identity',
      findings: 1,
      parameters: { actors: { '*': ['serviceAccount:api'], 'kms-ord*': [] } },
      steps: [
        { action: 'kms.decrypt' },
        { action: 'kms.decrypt', with: { resourceIdentity: 'kms-2', keySlug: 'other' } },
      ],
    },
    {
      says: 'whoever names nobody is not everyone',
      findings: 1,
      parameters: { actors: { '*': ['*'] } },
      steps: [{ action: 'kms.decrypt', with: { actor: { type: 'unknown' } } }, { action: 'kms.decrypt' }],
    },
    {
      says: 'callers unknown may be expected',
      findings: 0,
      parameters: { actors: { '*': ['unknown'] } },
      steps: [{ action: 'kms.decrypt', with: { actor: { type: 'unknown' } } }],
    },
    {
      says: 'from outside the networks, each address told once a day',
      findings: 3,
      parameters: { networks: ['10.0.0.0/8'] },
      steps: [
        { action: 'kms.decrypt', times: 5 },
        { action: 'kms.re_encrypt', with: { context: { clientIp: '198.51.100.1' } } },
        { action: 'kms.decrypt', after: '1d' },
      ],
    },
    {
      says: 'from inside, by a prefix that the field policy left, by a hash, and without an address',
      findings: 0,
      parameters: { networks: ['192.0.2.0/24'] },
      steps: [
        { action: 'kms.decrypt' },
        { action: 'kms.decrypt', with: { context: { clientIp: '192.0.2.0/24' } } },
        { action: 'kms.decrypt', with: { context: { clientIp: 'h:AAAAAAAAAAAAAAAAAAAAAA' } } },
        { action: 'kms.decrypt', with: { context: {} } },
      ],
    },
    {
      says: 'a key with networks of its own',
      findings: 1,
      parameters: { networks: ['192.0.2.0/24'], keyNetworks: { orders: ['192.0.2.128/25'] } },
      steps: [{ action: 'kms.decrypt' }],
    },
    {
      says: 'refused ones, and other actions',
      findings: 0,
      parameters: { actors: { orders: [] } },
      steps: [{ action: 'kms.decrypt', with: { outcome: 'failure' } }, { action: 'kms.encrypt' }],
    },
  ],
})

/** Finds the list for a key: of the names that match it, those by pattern included, or of `*`; undefined if there is none at all. */
function listOf(lists: Lists): ((key: string, name: string) => readonly string[] | undefined) | undefined {
  const named = Object.entries(lists)
    .filter(([pattern]) => pattern !== '*')
    .map(([pattern, list]) => ({ globs: compileGlobs([pattern]), list }))
  const rest = Object.hasOwn(lists, '*') ? lists['*'] : undefined
  if (named.length === 0 && rest === undefined) return undefined
  return (key, name) => {
    const matching = named.filter(({ globs }) => globs.matches(key) || globs.matches(name))
    return matching.length === 0 ? rest : matching.flatMap(({ list }) => list)
  }
}

function isPattern(text: string): boolean {
  return text === '*' || text === 'unknown' || /^(user|serviceAccount|client|system|\*):./.test(text)
}

function readerTest(patterns: readonly string[]): (actor: string | undefined) => boolean {
  const globs = compileGlobs(patterns)
  // As in access rules: `*` is everyone who is named.
  const withUnknown = patterns.includes('unknown')
  return (actor) => (actor === undefined ? withUnknown : globs.matches(actor))
}
