/** Room for events that no entry names by their request id: by action, key and time, each event in one place at most. */
import type { NamedKey } from './key-names.ts'
import { actionsOf } from './names.ts'
import { isDone, type TheirEvent } from './theirs.ts'

export interface Slot<T> {
  /** The action, or the name of just one event. */
  readonly what: string
  /** Empty: any. */
  readonly key: NamedKey
  readonly from: number
  readonly to: number
  /** The outcome that it is for; undefined: either. */
  readonly ok: boolean | undefined
  room: number
  readonly owner: T
  /** What an event is that it takes: the call's own, another attempt, or a part of it beside its own. */
  readonly as: 'call' | 'retry' | 'companion'
}

interface Lane<T> {
  readonly slots: Slot<T>[]
  /** Those before are past or in `open`. */
  next: number
  open: Slot<T>[]
}

export interface Slots<T> {
  add(slot: Slot<T>): void
  /** The slot that takes `event`, if one does. Events must come in the order of their time. */
  take(event: TheirEvent): Slot<T> | undefined
}

/**
 * Each event takes the slot that closes first of those that are open: if all of them can be placed, they are. First those of its own
 * key and outcome, then of either outcome, then of any key; and for an event that names no key, those of any.
 */
export function collectSlots<T>(): Slots<T> {
  const lanes = new Map<string, Map<string, Lane<T>>>()
  let sorted = false

  function lane(what: string, key: string): Lane<T> {
    const ofAction = lanes.get(what) ?? new Map<string, Lane<T>>()
    lanes.set(what, ofAction)
    const found = ofAction.get(key) ?? { slots: [], next: 0, open: [] }
    ofAction.set(key, found)
    return found
  }

  function sort(): void {
    sorted = true
    for (const ofAction of lanes.values())
      for (const { slots } of ofAction.values()) slots.sort((a, b) => a.from - b.from || a.to - b.to)
  }

  function candidates(what: string, event: TheirEvent): readonly Lane<T>[] {
    const ofAction = lanes.get(what)
    if (ofAction === undefined) return []
    const names = event.keys.flatMap(namesOf)
    if (names.length === 0) return [...ofAction.values()]
    return [...names, anyKey].flatMap((name) => ofAction.get(name) ?? [])
  }

  return {
    add(slot) {
      if (slot.room <= 0) return
      const [name = anyKey] = namesOf(slot.key)
      lane(slot.what, name).slots.push(slot)
    },
    take(event) {
      if (!sorted) sort()
      const ok = isDone(event)
      const found = [event.eventName, ...actionsOf(event.eventName)].flatMap((what) => candidates(what, event))
      for (const open of found) advance(open, event.at)
      const outcomes: readonly (boolean | undefined)[] = [ok, undefined]
      for (const outcome of outcomes) {
        for (const { open } of found) {
          const slot = firstToClose(open, outcome)
          if (slot === undefined) continue
          slot.room -= 1
          return slot
        }
      }
      return undefined
    },
  }
}

const anyKey = '?'

/** The id if it is known; an alias may come to name another key. */
function namesOf({ id, alias }: NamedKey): readonly string[] {
  return [...(id === undefined ? [] : [`id ${id}`]), ...(alias === undefined ? [] : [`alias ${alias}`])]
}

function advance<T>(lane: Lane<T>, at: number): void {
  for (let slot = lane.slots[lane.next]; slot !== undefined && slot.from <= at; slot = lane.slots[lane.next]) {
    lane.open.push(slot)
    lane.next += 1
  }
  if (lane.open.some(({ to, room }) => to < at || room === 0))
    lane.open = lane.open.filter(({ to, room }) => to >= at && room > 0)
}

function firstToClose<T>(open: readonly Slot<T>[], ok: boolean | undefined): Slot<T> | undefined {
  let found: Slot<T> | undefined
  for (const slot of open)
    if (slot.ok === ok && slot.room > 0 && (found === undefined || slot.to < found.to)) found = slot
  return found
}
