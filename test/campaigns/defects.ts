/**
 * Defects to be planted in a copy of `src`, each a promise broken by one change of text, and the campaigns that must catch
 * it. A refactoring that moves the text makes the defect fail to plant: then say here where the text stands now.
 */
import type { CampaignName } from './all.ts'

export interface Defect {
  readonly name: string
  readonly edits: readonly Edit[]
  /** Tried in this order until one catches it. */
  readonly campaigns: readonly Run[]
}

export interface Edit {
  /** Below `src`. */
  readonly file: string
  /** Stands there exactly once. */
  readonly text: string
  readonly becomes: string
}

/** A campaign, and how many of its cases. */
export type Run = readonly [campaign: CampaignName, count: number]

const power: Run = ['power', 40]
// The moments around a prune are few.
const longPower: Run = ['power', 120]
const faults: Run = ['faults', 120]
const fsync: Run = ['fsync', 60]
const torn: Run = ['torn', 250]
const processes: Run = ['processes', 8]
const clock: Run = ['clock', 4]
const tamper: Run = ['tamper', 700]
const following: Run = ['following', 20]
const hostile: Run = ['hostile', 600]

export const defects: readonly Defect[] = [
  {
    name: 'an append is not synced',
    edits: [{ file: 'storage/append.ts', text: '        if (!file.durable) await file.sync()\n', becomes: '' }],
    campaigns: [power],
  },
  {
    name: 'a sync that failed is tried again on the same file',
    edits: [
      {
        file: 'storage/append.ts',
        text: 'if (!file.durable) await file.sync()',
        becomes: 'if (!file.durable) await file.sync().catch(() => file.sync())',
      },
    ],
    campaigns: [fsync],
  },
  {
    name: 'the name of a new segment is not made durable',
    edits: [{ file: 'storage/append.ts', text: '    await fs.syncFolder(dirname(path))\n', becomes: '' }],
    campaigns: [power],
  },
  {
    name: 'the name of a replaced file is not made durable',
    edits: [{ file: 'storage/replace.ts', text: 'await fs.syncFolder(dirname(path))', becomes: '' }],
    campaigns: [power],
  },
  {
    name: 'a replaced file is not synced',
    edits: [{ file: 'storage/replace.ts', text: '      await file.sync()\n', becomes: '' }],
    campaigns: [power],
  },
  {
    name: 'a sink that refuses is taken to have accepted',
    edits: [
      {
        file: 'audit/channel.ts',
        text: '        cancel()\n        refused(error)\n',
        becomes: '        cancel()\n        accepted(undefined)\n',
      },
    ],
    campaigns: [faults],
  },
  {
    name: 'a lock is taken although its holder lives',
    edits: [
      {
        file: 'storage/lock.ts',
        text: 'if (await someoneListens(join(folder, holder.socket))) throw',
        becomes: 'if (false) throw',
      },
    ],
    campaigns: [processes],
  },
  {
    name: 'a holder does not look whether it still holds the lock',
    edits: [
      {
        file: 'storage/lock.ts',
        text: 'if (released === undefined && holds()) return\n',
        becomes: 'if (released === undefined) return\n',
      },
    ],
    campaigns: [processes],
  },
  {
    name: 'recovery cuts the batch before the torn one, too',
    edits: [
      {
        file: 'trail/writing/recover.ts',
        text: 'keep: replayed.bytes,',
        becomes: 'keep: replayed.tailBytes > 0 ? 0 : replayed.bytes,',
      },
    ],
    campaigns: [torn],
  },
  {
    name: 'a verifier hashes what it makes of a line, not the line',
    edits: [
      {
        file: 'trail/replay.ts',
        text: '    tree.appendWithin(bytes, start, end)\n',
        becomes: `    let again: Buffer = bytes.subarray(start - 1, end)
    try {
      again = Buffer.from(\` \${JSON.stringify(JSON.parse(bytes.toString('utf8', start, end)))}\`)
    } catch {}
    tree.appendWithin(again, 1, again.length)
`,
      },
    ],
    campaigns: [tamper],
  },
  {
    name: 'a follower goes on past what is published',
    edits: [
      { file: 'trail/reading/follow.ts', text: 'if (covered > cursor.next)', becomes: '' },
      { file: 'trail/reading/follow.ts', text: 'covered, upTo: covered, cursor', becomes: 'covered, cursor' },
      // It would notice at the next look that it had seen more than there is.
      { file: 'trail/reading/follow.ts', text: '  checkSizes(sizes, cursors)\n', becomes: '' },
    ],
    campaigns: [following],
  },
  {
    name: 'a reader calls everything safe',
    edits: [{ file: 'trail/reading/runs.ts', text: 'covered: position < covered }', becomes: 'covered: true }' }],
    campaigns: [following],
  },
  {
    name: 'a checkpoint is published before its entries are synced',
    edits: [
      {
        file: 'trail/writing/writer.ts',
        text: '    const batch = log.prepare(entries)\n',
        becomes: '    const batch = log.prepare(entries)\n    watermark.advance(batch.note)\n',
      },
    ],
    campaigns: [following],
  },
  {
    name: 'a result leaves before its entry is accepted',
    edits: [
      {
        file: 'audit/middleware.ts',
        text: 'return acceptance.then((accepted) => settle(call, answer, draft, accepted))',
        becomes: 'return settle(call, answer, draft, undefined)',
      },
    ],
    campaigns: [power],
  },
  {
    name: 'a change begins without its intent',
    edits: [
      {
        file: 'audit/middleware.ts',
        text: 'const accepted = await audit.emit(recordIntent(call, fields), expiryOf(call))',
        becomes: 'const accepted = undefined as Acceptance',
      },
    ],
    campaigns: [clock],
  },
  {
    name: 'recovery takes every open change for done',
    edits: [
      {
        file: 'audit/recovery.ts',
        text: "return outcome === 'done' || outcome === 'not-done' ? outcome : 'unknown'",
        becomes: "return 'done'",
      },
    ],
    campaigns: [torn, longPower],
  },
  {
    name: 'a writer goes on behind what a failed append left',
    edits: [
      {
        file: 'trail/writing/segments.ts',
        text: 'if (broken !== undefined) await cut(broken)',
        becomes: 'broken = undefined',
      },
    ],
    campaigns: [faults, fsync],
  },
  {
    name: 'segments are dropped before the entry that says so',
    edits: [
      {
        file: 'trail/retention/prune.ts',
        text: "  await log.note({\n    action: 'audit.pruned',",
        becomes:
          "  for (const segment of segments) await removeSegment(options, segment)\n  await log.note({\n    action: 'audit.pruned',",
      },
    ],
    campaigns: [longPower],
  },
  {
    name: 'a handover is signed by the new key alone',
    edits: [
      {
        file: 'trail/writing/handover.ts',
        text: 'joined(note, next.sign(text))\n',
        becomes: 'next.sign(text)\n',
      },
    ],
    campaigns: [tamper],
  },
  {
    name: 'a verifier asks no signature of the new key at a handover',
    edits: [
      {
        file: 'trail/verify/keys.ts',
        text: 'if (next !== undefined && (second === undefined || !next.made(second)))',
        becomes: 'if (next !== undefined && second !== undefined && !next.made(second))',
      },
    ],
    campaigns: [tamper],
  },
  {
    name: 'a verifier does not check the signatures of commit lines',
    edits: [{ file: 'trail/verify/keys.ts', text: 'if (!(await check)) return', becomes: 'if (false) return' }],
    campaigns: [tamper],
  },
  {
    name: 'a verifier does not compare the roots of commit lines',
    edits: [
      { file: 'trail/replay.ts', text: 'if (!equal(checkpoint.root, root)) return', becomes: 'if (false) return' },
    ],
    campaigns: [tamper],
  },
  {
    name: 'commit lines need not follow one another',
    edits: [{ file: 'trail/replay.ts', text: 'if (from !== good.tree.size)', becomes: 'if (false)' }],
    campaigns: [tamper],
  },
  {
    name: 'an anchor that is ahead of the trail agrees with it',
    edits: [
      {
        file: 'trail/verify/anchors.ts',
        text: "if (root === undefined) return { claim, outcome: 'ahead' }",
        becomes: "if (root === undefined) return { claim, outcome: 'agrees' }",
      },
    ],
    campaigns: [tamper],
  },
  {
    name: 'an anchor with another root agrees with the trail',
    edits: [
      {
        file: 'trail/verify/anchors.ts',
        text: "outcome: equal(claim.root, root) ? 'agrees' : 'differs'",
        becomes: "outcome: 'agrees'",
      },
    ],
    campaigns: [tamper],
  },
  {
    name: 'entries may be gone without an entry that says so',
    edits: [
      {
        file: 'trail/verify/story.ts',
        text: 'if (prunedBelow === undefined || prunedBelow === 0n) return undefined',
        becomes: 'if (true) return undefined',
      },
    ],
    campaigns: [tamper],
  },
  {
    name: 'there is no heartbeat',
    edits: [{ file: 'audit/heartbeat.ts', text: 'if (everyMs > 0) wait(0)', becomes: '' }],
    campaigns: [clock],
  },
  {
    name: 'a clock that goes back is not told',
    edits: [{ file: 'audit/emitter.ts', text: 'if (now < latest - steppedMs) tellStep(now)', becomes: '' }],
    campaigns: [clock],
  },
  {
    name: 'what acts upon a terminal stands in a line as it is',
    edits: [
      { file: 'model/line.ts', text: 'text.replace(escaped, (found) =>', becomes: 'text.replace(/$^/g, (found) =>' },
    ],
    campaigns: [hostile],
  },
  {
    name: 'the command line shows a text as it is',
    edits: [{ file: 'sinks/render.ts', text: 'return jsonText(text).slice(1, -1)', becomes: 'return text' }],
    campaigns: [hostile],
  },
  {
    name: 'a refused call leaves no entry',
    edits: [
      {
        file: 'audit/middleware.ts',
        text: 'if (eventID !== undefined) throw told(call, answer, eventID)',
        becomes: 'throw told(call, answer, eventID)',
      },
    ],
    campaigns: [hostile],
  },
]
