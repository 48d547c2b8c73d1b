/** @node Trails made line by line, also such as no writer would make: entries, who signs each commit, and what trail.json says. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { engine } from '#engine'
import { utf8 } from '../../src/crypto/bytes.ts'
import type { AuditEntry } from '../../src/model/entry.ts'
import { lineOf } from '../../src/model/line.ts'
import type { Signer } from '../../src/model/signer.ts'
import { formatAbout, type TrailKey } from '../../src/trail/about.ts'
import { formatCheckpoint } from '../../src/trail/checkpoint.ts'
import { formatCommit } from '../../src/trail/commit.ts'
import { formatVkey, noteSigner } from '../../src/trail/note.ts'
import { emptyTree, leafHash } from '../../src/trail/tree/tree.ts'

export const origin = 'keytrail/test'

export function vkeyOf(signer: Signer, name: string = origin): string {
  return formatVkey(engine, name, signer.publicKey)
}

export interface CraftedBatch {
  readonly entries: readonly AuditEntry[]
  /** In the order of their signature lines. */
  readonly signers: readonly Signer[]
  /** Begins a new segment. */
  readonly begins?: boolean
}

export interface Crafting {
  readonly batches: readonly CraftedBatch[]
  readonly vkeys: readonly TrailKey[]
  readonly minRetentionDays?: number
}

export interface Crafted {
  /** The instance's directory. */
  readonly folder: string
  /** Signed checkpoints: of nothing, and after each batch. */
  readonly notes: readonly string[]
}

/** Writes `path`/main with its segments, trail.json, and the last note as published checkpoint. */
export function craft(path: string, { batches, vkeys, minRetentionDays }: Crafting): Crafted {
  const folder = join(path, 'main')
  mkdirSync(join(folder, 'segments'), { recursive: true })
  const tree = emptyTree(engine)
  const [first] = batches
  const notes = [noteBy(first?.signers ?? [], formatCheckpoint({ origin, size: 0n, root: tree.root() }))]
  const segments: { first: bigint; text: string }[] = [{ first: 0n, text: '' }]
  for (const { entries, signers, begins = false } of batches) {
    const from = tree.size
    if (begins) segments.push({ first: from, text: '' })
    const lines = entries.map(lineOf)
    for (const line of lines) tree.append(leafHash(engine, utf8(line)))
    const note = noteBy(signers, formatCheckpoint({ origin, size: tree.size, root: tree.root() }))
    notes.push(note)
    const last = segments.at(-1)
    if (last === undefined) continue
    last.text += [...lines, formatCommit({ from, size: tree.size, note })].map((line) => `${line}\n`).join('')
  }
  for (const { first: index, text } of segments)
    writeFileSync(join(folder, 'segments', `${String(index).padStart(20, '0')}.jsonl`), text)
  const about = { origin, vkeys, createdAt: '2026-01-31T12:00:00.000Z', ...(minRetentionDays && { minRetentionDays }) }
  writeFileSync(join(folder, 'trail.json'), formatAbout(about))
  writeFileSync(join(folder, 'checkpoint'), notes.at(-1) ?? '')
  return { folder, notes }
}

/** A note over `text` with the signature of each. */
export function noteBy(signers: readonly Signer[], text: string, name: string = origin): string {
  const lines = signers.map((signer) =>
    noteSigner(engine, name, signer)
      .sign(text)
      .slice(text.length + 1),
  )
  return `${text}\n${lines.join('')}`
}
