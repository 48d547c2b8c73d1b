/** @node What an audit does for a trail, as far as these tests need it: its notices become entries. */
import { ok } from 'node:assert/strict'
import { engine } from '#engine'
import type { AuditEntry } from '../../src/model/entry.ts'
import type { Notice, SinkLog } from '../../src/model/sink.ts'
import type { Trail } from '../../src/trail/index.ts'
import { formatVkey } from '../../src/trail/note.ts'
import { entryAt, signerOf } from './entries.ts'

/** The entry that an audit makes of a notice. */
export function entryOf({ action, details, reason }: Notice, sequence: number): AuditEntry {
  return entryAt(sequence, {
    action,
    resourceType: 'audit_log',
    details: { sink: 'trail', ...details },
    ...(reason && { reason }),
  })
}

/** Writes each notice at once, in a batch of its own. */
export function connected(trail: Trail): Trail {
  const log: SinkLog = {
    async note(notice) {
      await trail.write([entryOf(notice, Number(trail.size))])
    },
  }
  trail.connect(log)
  return trail
}

/** As an audit with its first entries: what the trail noticed when it was opened. */
export async function opened(trail: Trail): Promise<Trail> {
  connected(trail)
  const first = Number(trail.size)
  const notices = trail.notices.map((notice, at) => entryOf(notice, first + 1 + at))
  await trail.write([entryAt(first, { action: 'audit.opened' }), ...notices])
  return trail
}

/** Verification key of `signerOf(byte)` in a trail of this origin. */
export function vkeyOf(byte: number, origin: string): string {
  return formatVkey(engine, origin, signerOf(byte).publicKey)
}

/** Until what was begun elsewhere, such as by a timer, has come to its end: its work is a few file operations. */
export async function until(reached: () => boolean): Promise<void> {
  for (let turn = 0; ; turn++) {
    const isReached = reached()
    await new Promise((resolve) => setImmediate(resolve))
    if (isReached) return
    ok(turn < 1_000_000, 'never reached')
  }
}

/** What `work` settles to, while time passes: for what waits no longer than its time. */
export async function whilePassing<T>(clock: { pass(ms: number): void }, work: Promise<T>): Promise<T> {
  let isSettled = false
  const settled = () => {
    isSettled = true
  }
  work.then(settled, settled)
  await until(() => {
    clock.pass(1)
    return isSettled
  })
  return work
}
