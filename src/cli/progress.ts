/** @node How far a long reading has come: one line on standard error, when it is a terminal, and gone at the end. */
import process from 'node:process'
import { systemClock } from '../model/clock.ts'

export interface Progress {
  at(name: string, bytes: number, totalBytes: number): void
  end(): void
}

const quietMs = 500
const everyMs = 100

export function openProgress(): Progress {
  const { stderr } = process
  if (stderr.isTTY !== true) return { at() {}, end() {} }
  // What is done before anyone would wonder needs no line.
  let next = systemClock.monotonic() + quietMs
  let shown = false
  return {
    at(name, bytes, totalBytes) {
      const now = systemClock.monotonic()
      if (now < next) return
      next = now + everyMs
      shown = true
      const percent = totalBytes === 0 ? 100 : Math.floor((100 * bytes) / totalBytes)
      stderr.write(`\r\u001b[K${name}: ${percent} % of ${Math.ceil(totalBytes / 1_000_000)} MB`)
    },
    end() {
      if (shown) stderr.write('\r\u001b[K')
    },
  }
}
