/** Evidence out of many entries: the first, the second, the fourth, the eighth … so few that counting costs next to nothing. */

/** Keeps `eventID` if the entry is one of those; `count` tells the how manieth it is, from 1. */
export function sample(ids: string[], count: number, eventID: string): void {
  if ((count & (count - 1)) === 0) ids.push(eventID)
}

/** With the newest at the end. */
export function upTo(ids: readonly string[], eventID: string): readonly string[] {
  return ids.at(-1) === eventID ? ids : [...ids, eventID]
}
