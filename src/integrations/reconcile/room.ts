/** What each call of ours may have caused besides the event that its entry names. */
import type { NamedKey } from './key-names.ts'
import { companionEvents, isUse } from './names.ts'
import { isInconclusive, type OurCall, type OurSide } from './ours.ts'
import { collectSlots, type Slot, type Slots } from './slots.ts'

export interface Known {
  /** Ids of keys that entries name only by their alias. */
  readonly learned: ReadonlyMap<string, string>
  readonly windowMs: number
}

/** CloudTrail tells whole seconds. */
const secondMs = 1000

/** Whether there may be events besides the one that its entry names. */
export function mayHaveMore({ action, requests }: OurCall): boolean {
  return requests > 1 || !isUse(action)
}

export function roomFor(side: OurSide, { learned, windowMs }: Known): Slots<OurCall> {
  const slots = collectSlots<OurCall>()

  function keyOf({ key }: OurCall): NamedKey {
    const id = key.id ?? learned.get(key.alias ?? '')
    return id === undefined ? key : { ...key, id }
  }

  function add(call: OurCall, slot: Pick<Slot<OurCall>, 'what' | 'room' | 'as' | 'ok'>): void {
    const { event } = call
    // By AWS' own clock where that is known.
    const [end, slack] = event === undefined || call.isJoined ? [call.at, windowMs] : [event.at, 2 * secondMs]
    const from = end - (call.at - call.since) - slack - secondMs
    slots.add({ ...slot, key: keyOf(call), from, to: end + slack, owner: call })
  }

  for (const call of side.byRequest.values()) {
    const { event } = call
    if (event === undefined || !mayHaveMore(call)) continue
    add(call, { what: call.action, room: call.requests - 1, as: 'retry', ok: undefined })
    for (const what of companionEvents(call.action, event.eventName))
      add(call, { what, room: 1, as: 'companion', ok: undefined })
  }
  for (const call of side.unnamed) {
    const ok = isInconclusive(call.error) ? undefined : call.ok
    add(call, { what: call.action, room: call.requests, as: 'call', ok })
    for (const what of companionEvents(call.action, undefined))
      add(call, { what, room: 1, as: 'companion', ok: undefined })
  }
  for (const call of side.asides) {
    // Of a re-encryption that another provider sealed, it was asked to open.
    const what = call.action === 'kms.re_encrypt' ? 'Decrypt' : call.action
    add(call, { what, room: call.requests, as: 'companion', ok: call.ok })
    if (what === 'Decrypt')
      add(call, { what: 'ReEncrypt', room: call.ok === true ? 0 : 1, as: 'companion', ok: call.ok })
  }
  return slots
}
