/** What is found, in plain words. */
import { isSameKey } from './key-names.ts'
import { actionsOf, kindOf, mayBe } from './names.ts'
import { isInconclusive, type OurCall } from './ours.ts'
import { type Finding, ourEntry, theirRecord, timeText } from './report.ts'
import { isDone, type TheirEvent } from './theirs.ts'

type About = NonNullable<Finding['about']>

/** In what an entry and an event of the same request differ. */
export function differ(call: OurCall, event: TheirEvent): About | undefined {
  const isOwn = actionsOf(event.eventName).includes(call.action)
  // A refusal may rest on what was read about the key.
  const isGround = call.ok === false && kindOf(event.eventName) === 'read'
  if (!isGround && !mayBe(event.eventName, call.action)) return 'action'
  const same = event.keys.map((key) => isSameKey(call.key, key)).filter((answer) => answer !== undefined)
  if (same.length > 0 && !same.includes(true)) return 'key'
  const isClaimed = call.ok === true && !isDone(event)
  const isDenied = call.ok === false && isOwn && !isInconclusive(call.error) && isDone(event)
  return isClaimed || isDenied ? 'outcome' : undefined
}

export function disagreement(about: About, call: OurCall, event: TheirEvent): Finding {
  const [ours, theirs] = [ourEntry(call), theirRecord(event)]
  const says = {
    action: `our entry is of ${call.action}, and AWS says ${event.eventName}`,
    key: `our entry names the key ${call.keyName ?? 'of nobody'}, and AWS says ${event.key}`,
    outcome: `our entry says ${ours.outcome}, and AWS says ${event.errorCode ?? 'success'}`,
  }[about]
  return { kind: 'disagreement', about, says: `of one request, ${says}`, ours, theirs }
}

export function onlyTheirs(event: TheirEvent): Finding {
  const { eventName, key = 'a key that is not told', principal = 'somebody', at, errorCode } = event
  const verb = kindOf(eventName) === 'use' ? 'used' : 'changed'
  const did = errorCode === undefined || isDone(event) ? verb : `was refused (${errorCode}) when it would have ${verb}`
  const says = `${principal} ${did} ${key} at ${timeText(at)} (${eventName}), and no entry tells of it`
  return { kind: 'only-theirs', says, theirs: theirRecord(event) }
}

export function onlyOurs(call: OurCall): Finding {
  const missing = call.requestId === undefined ? 'no event that it could be' : 'no event of that request'
  const says = `our entry says that AWS did ${call.action} with ${call.keyName ?? 'a key'} at ${timeText(call.at)}, and there is ${missing}`
  return { kind: 'only-ours', says, ours: ourEntry(call) }
}

export function repeatedRequest(call: OurCall): Finding {
  const says = `our entry of ${call.action} at ${timeText(call.at)} names a request that another entry has named`
  return { kind: 'only-ours', says, ours: ourEntry(call) }
}

interface Compared {
  readonly compared: boolean
  readonly events: number
  readonly uses: number
  readonly calls: number
}

export function notesOf({ compared, events, uses, calls }: Compared): readonly string[] {
  const notes: string[] = []
  if (!compared) notes.push('nothing was compared: there is no time that both the trail and the export cover')
  if (events === 0) notes.push('the export holds no event of AWS KMS')
  else if (uses === 0 && calls > 0)
    notes.push(
      'the export holds no use of any key: for CloudTrail Encrypt, Decrypt and the like are read-only management events, which a trail of write-only events, or one that excludes AWS KMS, leaves out',
    )
  return notes
}
