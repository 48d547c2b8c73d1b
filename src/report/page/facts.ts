/** What the page's script reads of the review that lies in the page; the whole of it is `Review` of report/review.ts, whose imports are not a browser's. */

export interface Facts {
  readonly timeZone: string
  readonly timeline: Timeline
}

export interface Timeline {
  readonly from: string
  readonly bucketMs: number
  readonly series: readonly { readonly action: string; readonly outcome: string; readonly counts: readonly number[] }[]
}
