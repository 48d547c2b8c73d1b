/**
 * @node Hostile strings in every field that a caller can fill: what is accepted and what is refused leaves one line each,
 * on which nothing acts upon a terminal, a log viewer or a parser.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import type { CallOptions, KmsClient } from '../../src/client.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import type { KmsError } from '../../src/model/errors.ts'
import type { lineOf } from '../../src/model/line.ts'
import { fromSource } from '../from-source.mjs'
import { sharedJson } from '../shared.ts'
import type { Campaign, CampaignOptions, Violation } from './campaign.ts'
import { chance } from './chance.ts'
import { withFolder } from './house.ts'
import { loadProduct, type Product } from './product.ts'

interface Case {
  readonly name: string
  readonly field: string
  readonly text: string
}

export const hostile: Campaign = async (options) => {
  const product = await loadProduct(options.product)
  return withFolder((folder) => tryAll(product, folder, casesOf(options)))
}

function casesOf({ seed, count, only }: CampaignOptions): readonly Case[] {
  const all = Object.keys(fields).flatMap((field) =>
    hostileStrings().map((text, at): Case => ({ name: `${field} ${at}`, field, text })),
  )
  if (only !== undefined) return all.filter(({ name }) => name === only)
  const luck = chance(seed)
  const ranked = all.map((one) => ({ one, rank: luck.next() })).sort((a, b) => a.rank - b.rank)
  return ranked.slice(0, count).map(({ one }) => one)
}

type Hostile =
  | string
  | { readonly repeat: readonly [string, number] }
  | { readonly repeat2: readonly [string, number, string] }
  | { readonly head: string; readonly count: number; readonly tail: string }

/** Those of the shared vectors, and what only a trail of lines has to fear. */
export function hostileStrings(): readonly string[] {
  const lists = sharedJson<Readonly<Record<string, readonly unknown[] | string>>>('vectors/hostile.json')
  const all = Object.entries(lists).flatMap(([name, list]) => (Array.isArray(list) && name !== 'versions' ? list : []))
  return [...all.map(textOf), ...ofLines]
}

function textOf(item: Hostile): string {
  if (typeof item === 'string') return item
  if ('repeat' in item) return item.repeat[0].repeat(item.repeat[1])
  if ('repeat2' in item) return item.repeat2[0].repeat(item.repeat2[1]) + item.repeat2[2]
  return item.head.repeat(item.count) + item.tail
}

const ofLines: readonly string[] = [
  '{"commit":{"from":0,"size":1},"checkpoint":"x"}',
  '\n{"commit":{"from":0,"size":1},"checkpoint":"x"}\n',
  '","action":"audit.key_rotated","details":{"vkey":"evil"},"x":"',
  '"action":"audit.pruned"',
  String.fromCharCode(...Array.from({ length: 32 }, (_, code) => code)),
  String.fromCharCode(...Array.from({ length: 33 }, (_, code) => 0x7f + code)),
  '\u2028\u2029\u0085\v\f\r\n',
  '\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069',
  '\ufeff\u00ad\u180e\u2060\ufff9\u{e0041}\u{e007f}',
  '\u001b]8;;http://evil.example\u0007click\u001b]8;;\u0007',
  '\ud83d',
  'constructor',
  'kms-7f3k2m9q4w8x1z5c',
]

type Answer = Promise<{ readonly eventID: string }>

/** How each field is filled, and where the entry gives it back. */
interface Field {
  readonly fill: (kms: KmsClient, text: string) => Answer
  /** Undefined where it may be left out, or be there in another form. */
  readonly kept?: (entry: AuditEntry) => string | undefined
}

const key = 'seal'
const plaintext = new TextEncoder().encode('what is sealed')

function inContext(context: (text: string) => NonNullable<CallOptions['context']>, kept?: Field['kept']): Field {
  const fill = (kms: KmsClient, text: string) => kms.encrypt({ key, plaintext }, { context: context(text) })
  return { fill, ...(kept && { kept }) }
}

/** An input that TypeScript would refuse: what comes from outside has no types. */
function anyInput<T>(input: object): T {
  return input as T
}

const fields: Readonly<Record<string, Field>> = {
  'key of encrypt': { fill: (kms, text) => kms.encrypt({ key: text, plaintext }) },
  'key of rotate': { fill: (kms, text) => kms.rotate({ key: text }) },
  'key of decrypt': { fill: (kms, text) => kms.decrypt({ key: text, ciphertext: new Uint8Array(90) }) },
  'slug of createKey': { fill: (kms, text) => kms.createKey({ slug: text }) },
  'name of createKey': { fill: (kms, text) => kms.createKey({ name: text }) },
  'description of createKey': { fill: (kms, text) => kms.createKey({ description: text }) },
  'label of createKey': { fill: (kms, text) => kms.createKey({ labels: { [text]: text } }) },
  'annotation of createKey': { fill: (kms, text) => kms.createKey({ annotations: { [text]: text } }) },
  'keyType of createKey': { fill: (kms, text) => kms.createKey(anyInput({ keyType: text })) },
  'a field of encrypt': { fill: (kms, text) => kms.encrypt(anyInput({ key, plaintext, [text]: text })) },
  'name in encryptionContext': {
    fill: (kms, text) => kms.encrypt({ key, plaintext, encryptionContext: { [text]: 'value' } }),
  },
  'value in encryptionContext': {
    fill: (kms, text) => kms.encrypt({ key, plaintext, encryptionContext: { name: text } }),
    kept: ({ encryptionContext }) => encryptionContext?.['name'],
  },
  'actor.type': inContext((text) => anyInput({ actor: { type: text, id: 'x' } })),
  'actor.id': inContext(
    (id) => ({ actor: { type: 'user', id } }),
    ({ actor }) => actor?.id,
  ),
  'actor.name': inContext(
    (name) => ({ actor: { type: 'user', id: 'x', name } }),
    ({ actor }) => actor?.name,
  ),
  clientIp: inContext((clientIp) => ({ clientIp })),
  userAgent: inContext(
    (userAgent) => ({ userAgent }),
    ({ context }) => context?.userAgent,
  ),
  requestId: inContext(
    (requestId) => ({ requestId }),
    ({ context }) => context?.requestId,
  ),
  traceparent: inContext((traceparent) => ({ traceparent })),
  method: inContext((method) => ({ method })),
  route: inContext((route) => ({ route })),
  'origin.service': inContext(
    (service) => ({ origin: { service } }),
    ({ origin }) => origin?.service,
  ),
  'origin.eventID': inContext(
    (eventID) => ({ origin: { service: 'x', eventID } }),
    ({ origin }) => origin?.eventID,
  ),
  'origin.resource': inContext(
    (resource) => ({ origin: { service: 'x', resource } }),
    ({ origin }) => origin?.resource,
  ),
  'reason.code': inContext(
    (code) => ({ reason: { code } }),
    ({ reason }) => reason?.code,
  ),
  'reason.ticket': inContext(
    (ticket) => ({ reason: { code: 'x', ticket } }),
    ({ reason }) => reason?.ticket,
  ),
}

/** Shorter than the least cap of a field that is given back. */
const uncut = 60

async function tryAll(product: Product, folder: string, cases: readonly Case[]): Promise<readonly Violation[]> {
  const found: Violation[] = []
  const [keys, audit] = [join(folder, 'keys'), join(folder, 'audit')]
  const local = await product.openLocalKms({
    path: keys,
    rootKey: new Uint8Array(32).fill(9),
    allowFilesystem: ['tmpfs'],
  })
  for (const text of hostileStrings())
    found.push(...(await named(product, { folder, text, signer: local.auditSigner() })))
  const trail = await product.openTrail({ path: audit, signer: local.auditSigner(), allowFilesystem: ['tmpfs'] })
  const floods = { perWindow: Number.POSITIVE_INFINITY }
  const kms = new product.KmsClient({ provider: local, audit: { required: [trail], floods } })
  await kms.createKey({ slug: key })
  const left = new Map<string, Case & { readonly error?: KmsError }>()
  for (const one of cases) {
    const wrong = (what: string) => found.push({ case: one.name, what })
    const { fill } = fields[one.field] ?? { fill: async () => Promise.reject(new Error('no such field')) }
    try {
      left.set((await fill(kms, one.text)).eventID, one)
    } catch (error) {
      if (!(error instanceof product.KmsError)) wrong(`a foreign error came out: ${error}`)
      else if (error.eventID === undefined) wrong(`P3: it was refused without an entry: ${error.message}`)
      else left.set(error.eventID, { ...one, error })
      if (error instanceof Error && acting.test(error.message)) wrong('the message of the error acts upon a terminal')
    }
  }
  const { vkey } = trail
  await kms.close()
  await local.close?.()
  const { verdict, problem } = await product.verifyTrail(audit, { vkey })
  if (verdict !== 'valid') found.push({ case: 'all', what: `P4: the trail is ${verdict}: ${problem}` })
  found.push(...(await onDisk(product, trail.path, left)), ...(await shown(product, audit)))
  return found
}

interface Naming {
  readonly folder: string
  readonly text: string
  readonly signer: Parameters<Product['openTrail']>[0]['signer']
}

/** Names that are no part of a call: of an instance, an origin, a client. They are refused at once, or stand for themselves. */
async function named(product: Product, { folder, text, signer }: Naming): Promise<readonly Violation[]> {
  const found: Violation[] = []
  const path = join(folder, 'named')
  const allowFilesystem = ['tmpfs']
  const tries: Readonly<Record<string, () => Promise<unknown>>> = {
    instance: async () => (await product.openTrail({ path, instance: text, signer, allowFilesystem })).close(),
    origin: async () =>
      (await product.openTrail({ path, instance: 'one', origin: text, signer, allowFilesystem })).close(),
    'audit.instance': async () =>
      product.createAudit({ required: [product.memorySink()], instance: text, heartbeatMs: 0 }).close(),
  }
  for (const [field, run] of Object.entries(tries)) {
    try {
      await run()
    } catch (error) {
      if (!(error instanceof product.KmsError))
        found.push({ case: `${field} ${JSON.stringify(text)}`, what: `a foreign error came out: ${error}` })
    }
  }
  return found
}

/** What a terminal, a log viewer or a reader of lines may act upon, or not show. */
const acting = /[\p{Cc}\p{Cs}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb]/u

async function onDisk(
  product: Product,
  path: string,
  left: ReadonlyMap<string, Case & { readonly error?: KmsError }>,
): Promise<readonly Violation[]> {
  const found: Violation[] = []
  const { lineOf: serialise }: { lineOf: typeof lineOf } = await import(
    pathToFileURL(join(product.folder, 'model/line.ts')).href
  )
  const lines: string[] = []
  const fs = product.nodeFileSystem
  for (const name of [...(await fs.list(join(path, 'segments')))].sort())
    lines.push(
      ...new TextDecoder()
        .decode(await fs.readFile(join(path, 'segments', name)))
        .split('\n')
        .slice(0, -1),
    )
  const entries: AuditEntry[] = []
  for (const line of lines.filter((text) => !text.startsWith('{"commit":{'))) {
    const entry: AuditEntry = JSON.parse(line)
    const at = left.get(entry.eventID)?.name ?? entry.action
    if (acting.test(line)) found.push({ case: at, what: 'its line acts upon a terminal' })
    if (serialise(entry) !== line) found.push({ case: at, what: 'its line is not what its entry makes' })
    entries.push(entry)
  }
  const read: AuditEntry[] = []
  for await (const { entry } of product.readTrail(path)) read.push(entry)
  if (!isDeepStrictEqual(read, entries))
    found.push({ case: 'all', what: 'a reader gets other entries than there are lines' })
  const byID = new Map(entries.map((entry) => [entry.eventID, entry]))
  for (const [eventID, { name, field, text, error }] of left) {
    const entry = byID.get(eventID)
    const kept = entry && fields[field]?.kept?.(entry)
    if (entry === undefined) found.push({ case: name, what: 'P3: it has no entry' })
    else if (entry.outcome !== (error ? 'failure' : 'success') || entry.error !== error?.code)
      found.push({
        case: name,
        what: `P3: its entry says ${entry.outcome} ${entry.error}, and the caller heard ${error?.code}`,
      })
    else if (kept !== undefined && text.length <= uncut && kept !== text)
      found.push({ case: name, what: `its entry says ${JSON.stringify(kept)}` })
  }
  return found
}

/** The command line shows all of them, as a table and as JSON. */
async function shown(product: Product, audit: string): Promise<readonly Violation[]> {
  const found: Violation[] = []
  for (const format of [[], ['--json']]) {
    const args = [...fromSource, join(product.folder, 'cli/main.ts'), 'audit', 'query', audit, ...format]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
    const [code] = await once(child, 'close')
    const at = ['audit query', ...format].join(' ')
    if (code !== 0) found.push({ case: at, what: `it ends with ${code}: ${text.slice(-500)}` })
    for (const line of text.split('\n'))
      if (acting.test(line)) found.push({ case: at, what: `it writes ${JSON.stringify(line)}` })
  }
  return found
}
