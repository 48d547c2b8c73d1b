/** @node A trail laid out by hand, without its writer: for what stands in files, and what retention does with them. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { engine } from '#engine'
import { utf8 } from '../../src/crypto/bytes.ts'
import type { AuditEntry, EntryDetails } from '../../src/model/entry.ts'
import { lineOf } from '../../src/model/line.ts'
import type { Notice, SinkLog } from '../../src/model/sink.ts'
import { type About, formatAbout } from '../../src/trail/about.ts'
import { formatCheckpoint } from '../../src/trail/checkpoint.ts'
import { formatCommit } from '../../src/trail/commit.ts'
import { type Layout, layoutOf, type Segment, segmentAt } from '../../src/trail/layout.ts'
import { noteSigner } from '../../src/trail/note.ts'
import { emptyTree, leafHash } from '../../src/trail/tree/tree.ts'
import { entryAt, signerOf } from './entries.ts'

export interface LaidTrail {
  /** The parent of the instance's folder. */
  readonly path: string
  readonly layout: Layout
  readonly about: About
  readonly vkey: string
  readonly size: bigint
  /** One batch, published. */
  write(entries: readonly AuditEntry[]): void
  /** The next batch begins another segment. */
  seal(): void
  /** Every segment so far. */
  readonly segments: readonly Segment[]
  /** Writes what is noted as an entry, `createdAt` as the clock tells. */
  readonly log: SinkLog
}

export interface LaidOptions {
  readonly minRetentionDays?: number
  readonly now?: () => number
  readonly instance?: string
}

export function layTrail(path: string, options: LaidOptions = {}): LaidTrail {
  const { minRetentionDays, now = Date.now, instance = 'main' } = options
  const layout = layoutOf(join(path, instance))
  const origin = `keytrail/${instance}`
  const signer = noteSigner(engine, origin, signerOf(7))
  const about: About = {
    origin,
    vkeys: [{ vkey: signer.vkey, fromIndex: 0 }],
    ...(minRetentionDays !== undefined && { minRetentionDays }),
    createdAt: '2026-01-31T12:00:00.000Z',
  }
  mkdirSync(layout.segments, { recursive: true, mode: 0o700 })
  writeFileSync(layout.about, formatAbout(about), { mode: 0o600 })
  const tree = emptyTree(engine)
  const segments: Segment[] = []
  let current: Segment | undefined

  function write(entries: readonly AuditEntry[]): void {
    if (current === undefined) {
      current = segmentAt(layout, tree.size)
      segments.push(current)
    }
    const from = tree.size
    const lines = entries.map(lineOf)
    for (const line of lines) tree.append(leafHash(engine, utf8(line)))
    const note = signer.sign(formatCheckpoint({ origin, size: tree.size, root: tree.root() }))
    const commit = formatCommit({ from, size: tree.size, note })
    appendFileSync(current.path, [...lines, commit, ''].join('\n'), { mode: 0o600 })
    writeFileSync(layout.checkpoint, note, { mode: 0o600 })
  }

  return {
    path,
    layout,
    about,
    vkey: signer.vkey,
    get size() {
      return tree.size
    },
    write,
    seal() {
      current = undefined
    },
    segments,
    log: {
      async note(notice) {
        write([noted(notice, Number(tree.size), new Date(now()).toISOString())])
      },
    },
  }
}

function noted({ action, details, reason }: Notice, sequence: number, createdAt: string): AuditEntry {
  const told: EntryDetails = { sink: 'trail', ...details }
  const about = { action, resourceType: 'audit_log', createdAt, details: told } as const
  return entryAt(sequence, { ...about, ...(reason !== undefined && { reason }) })
}
