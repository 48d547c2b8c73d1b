/** One process that writes a trail of its own: what `createAudit` does with a draft, with a clock and randomness that can be had again. */
import { type Draft, draftOf } from '../../../src/audit/draft.ts'
import { compileFields, type FieldPolicy } from '../../../src/audit/fields.ts'
import { eventIDs, timestamps } from '../../../src/audit/ids.ts'
import type { AuditEntry, EntryDetails, EntryReason, EntrySink } from '../../../src/model/entry.ts'
import { hour } from './calendar.ts'
import { type Mark, markOwn } from './mark.ts'
import type { Odds } from './odds.ts'

export interface Writing {
  readonly at: number
  readonly mark?: Mark | undefined
  /** The entry is somebody else's, and as it is because of this attack. */
  readonly because?: Mark | undefined
}

export interface Writer {
  readonly name: string
  /** Whether calls are taken. */
  readonly isOpen: boolean
  /** Name and id of this start. */
  readonly instance: string
  /** Writes `draft`; its id is the one in it, if there is one. */
  write(draft: Draft, writing: Writing): AuditEntry
  reserve(at: number): string
  /** An entry of the log about itself. */
  note(action: `audit.${string}`, details: EntryDetails | undefined, writing: Writing, reason?: EntryReason): AuditEntry
  /** A new start: its first entry, and what the trail found when it was opened. */
  open(writing: Writing, options?: Opening): AuditEntry
  close(writing: Writing): AuditEntry
  /** No more entries, and no word about it. */
  die(): void
  /** Calls are refused without an entry; the process goes on. */
  bar(isBarred: 'barred' | 'free'): void
  /** The wall clock is wrong by so much more from now on; the entry that says so is the attack's. */
  skew(ms: number, mark?: Mark): void
  /** The next `count` entries of single calls are numbered, and then taken away; `done` gets the entry after the last of them. */
  steal(count: number, done: (next: AuditEntry) => void): void
  /** When the last entry was written; true time. */
  readonly lastAt: number
}

export interface Opening {
  readonly policy?: FieldPolicy
  /** Without the copy that goes elsewhere. */
  readonly alone?: 'alone'
  /** Whom to thank for entries that say less than they should. */
  readonly because?: Mark
}

export const heartbeatMs: number = hour
export const ordinaryFields: string = compileFields().text

export interface WriterParts {
  readonly name: string
  readonly odds: Odds
  readonly minRetentionDays: number
  readonly emit: (entry: AuditEntry) => void
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

export function createWriter({ name, odds, minRetentionDays, emit }: WriterParts): Writer {
  const timestamp = timestamps()
  const random = new Uint8Array(16)
  const vkey = `${name}+${odds.text(8, '0123456789abcdef')}+${odds.text(44, letters)}`
  let instance = ''
  let nextID = eventIDs()
  let sequence = 0
  let size = odds.whole(2_000_000, 9_000_000)
  let latest = Number.NEGATIVE_INFINITY
  let lastAt = Number.NEGATIVE_INFINITY
  let state: 'open' | 'barred' | 'closed' = 'closed'
  let skewMs = 0
  let fields = compileFields()
  let because: Mark | undefined
  let stepper: Mark | undefined
  let toSteal = 0
  let afterTheft: ((next: AuditEntry) => void) | undefined

  const writer: Writer = {
    name,
    get isOpen() {
      return state === 'open'
    },
    get instance() {
      return instance
    },
    get lastAt() {
      return lastAt
    },
    write,
    reserve: (at) => freshID(at + skewMs),
    note,
    open(writing, { policy, alone, because: blamed } = {}) {
      instance = `${name}-${odds.text(8, letters)}`
      nextID = eventIDs()
      sequence = 0
      latest = Number.NEGATIVE_INFINITY
      fields = compileFields(policy)
      because = blamed
      state = 'open'
      const trail = { name: 'trail', durability: 'synced', required: true, filesystem: 'ext4' } as const
      const sinks: EntrySink[] = [{ ...trail, size: String(size), vkey, minRetentionDays }]
      if (alone === undefined) sinks.push({ name: 'siem', durability: 'remote', required: false })
      return note('audit.opened', { sinks, engine: 'node', version: '0.1.0', fields: fields.text }, writing)
    },
    close(writing) {
      const entry = note('audit.closed', { refusedCalls: 0 }, writing)
      state = 'closed'
      return entry
    },
    die() {
      state = 'closed'
    },
    bar(isBarred) {
      if (state !== 'closed') state = isBarred === 'barred' ? 'barred' : 'open'
    },
    skew(ms, mark) {
      skewMs += ms
      stepper = mark
    },
    steal(count, done) {
      toSteal += count
      afterTheft = done
    },
  }
  return writer

  function write(draft: Draft, { at, mark, because: blamed }: Writing): AuditEntry {
    const now = at + skewMs
    if (now < latest - 1000) {
      const steppedMs = latest - now
      latest = now
      note('audit.clock_stepped', { steppedMs }, { at, mark: stepper })
    }
    if (now > latest) latest = now
    lastAt = at
    size += 1
    if (draft.eventID === '') draft.eventID = freshID(now)
    draft.createdAt = timestamp(now)
    draft.instance = instance
    draft.sequence = sequence++
    draft.salt = freshSalt()
    if (because !== undefined) lessen(draft)
    // What a wrong time does to others' rules is its doing too.
    if (skewMs !== 0) stepper?.aftermath.push(draft.eventID)
    if (toSteal > 0 && mark === undefined && blamed === undefined && isLone(draft)) {
      toSteal -= 1
      return draft
    }
    if (mark !== undefined) markOwn(mark, draft)
    blamed?.aftermath.push(draft.eventID)
    emit(draft)
    if (toSteal === 0 && afterTheft !== undefined) {
      afterTheft(draft)
      afterTheft = undefined
    }
    return draft
  }

  function note(
    action: `audit.${string}`,
    details: EntryDetails | undefined,
    writing: Writing,
    reason?: EntryReason,
  ): AuditEntry {
    const draft = draftOf({
      action,
      phase: 'result',
      resourceType: 'audit_log',
      resourceIdentity: instance,
      outcome: 'success',
      actor: ownActor,
      reason,
      details,
    })
    return write(draft, writing)
  }

  function freshID(now: number): string {
    for (let at = 0; at < 16; at += 4) {
      const bits = odds.bits()
      random[at] = bits
      random[at + 1] = bits >>> 8
      random[at + 2] = bits >>> 16
      random[at + 3] = bits >>> 24
    }
    return nextID(now, random)
  }

  /** 22 letters, of which the last has but two bits. */
  function freshSalt(): string {
    let salt = ''
    for (let word = 0; word < 4; word++) {
      let bits = odds.bits()
      for (let letter = 0; letter < 5; letter++) {
        salt += alphabet[bits & 63]
        bits >>>= 6
      }
    }
    const bits = odds.bits()
    return salt + alphabet[bits & 63] + alphabet[(bits >>> 6) & 48]
  }

  /** What the field policy of this start takes away; whatever is taken is the attack's doing. */
  function lessen(draft: Draft): void {
    const { actor, context } = draft
    if (actor?.id !== undefined && actor.type !== 'system') {
      const { id, name: called, ...rest } = actor
      const keptID = fields.keep('actor.id', id)
      const keptName = called === undefined ? undefined : fields.keep('actor.name', called)
      draft.actor = {
        type: rest.type,
        ...(keptID !== undefined && { id: keptID }),
        ...(keptName !== undefined && { name: keptName }),
        ...(rest.source !== undefined && { source: rest.source }),
      }
    }
    if (context !== undefined) {
      const { clientIp, userAgent, ...rest } = context
      const ip = clientIp === undefined ? undefined : fields.ip(clientIp)
      const agent = userAgent === undefined ? undefined : fields.keep('userAgent', userAgent)
      const kept = {
        ...(ip !== undefined && { clientIp: ip }),
        ...(agent !== undefined && { userAgent: agent }),
        ...rest,
      }
      if (Object.keys(kept).length > 0) draft.context = kept
      else delete draft.context
    }
    if (draft.encryptionContext !== undefined) {
      const pairs = fields.encryptionContext(draft.encryptionContext)
      if (pairs === undefined) delete draft.encryptionContext
    }
    because?.aftermath.push(draft.eventID)
  }
}

const ownActor = Object.freeze({ type: 'system', id: 'keytrail' } as const)

/** Belongs to no other entry: nobody misses it but who counts. */
function isLone({ operationID, origin, action, outcome }: Draft): boolean {
  return (
    operationID === undefined && origin === undefined && outcome === 'success' && /^kms\.(en|de)crypt$/.test(action)
  )
}
