/** One page of a listing, and the marker of the next. */
import type { RequestBody } from './operation.ts'
import { refusal } from './refusal.ts'

export function page(name: string, all: readonly unknown[], body: RequestBody): Readonly<Record<string, unknown>> {
  const marker = body.text('Marker')
  const from = marker === undefined ? 0 : Number(/^after-(\d+)$/.exec(marker)?.[1] ?? Number.NaN)
  if (Number.isNaN(from)) throw refusal('InvalidMarkerException', 'the marker is none of ours')
  const to = from + (body.number('Limit') ?? 50)
  const isLast = to >= all.length
  return { [name]: all.slice(from, to), Truncated: !isLast, ...(!isLast && { NextMarker: `after-${to}` }) }
}
