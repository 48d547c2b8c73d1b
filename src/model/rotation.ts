/** When automatic rotation falls due, whatever became of the clock meanwhile. */

export interface RotationDates {
  /** When each version was made, ms since the epoch; oldest version first. */
  readonly createdAt: readonly number[]
  readonly periodMs: number
}

/** Whether the newest version is dated more than a period ahead of `now`: the clock was wrong when it was made, or is wrong now. */
export function isDatedAhead({ createdAt, periodMs }: RotationDates, now: number): boolean {
  return (createdAt.at(-1) ?? now) - now > periodMs
}

/**
 * One period after the newest version, ms since the epoch; undefined without versions. Of a key that is dated ahead, which
 * would else not rotate before that date, after the newest version that is not, if there is one.
 */
export function rotationDueAt(dates: RotationDates, now: number): number | undefined {
  const { createdAt, periodMs } = dates
  const newest = createdAt.at(-1)
  if (newest === undefined) return undefined
  const sound = isDatedAhead(dates, now) ? createdAt.findLast((at) => at <= now) : newest
  return (sound ?? newest) + periodMs
}
