/** @node A sink that writes to standard output: readable on a terminal, JSON Lines in a pipe. */
import process from 'node:process'
import type { Writable } from 'node:stream'
import { KmsError } from '../model/errors.ts'
import { lineOf } from '../model/line.ts'
import type { AuditSink } from '../model/sink.ts'
import { type RenderOptions, renderEntry } from './render.ts'

/** A stream such as `process.stdout`. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number }

export interface StdoutSinkOptions {
  /** `stdout` by default. */
  readonly name?: string
  /** `process.stdout` by default. Stays open when the sink is closed. */
  readonly stream?: OutputStream
  /** `auto` by default: `text` on a terminal, `lines` elsewhere. */
  readonly format?: 'auto' | 'text' | 'lines'
}

/**
 * Writes each batch with one call and accepts when the stream has handed it to the operating system (`handed-over`:
 * whoever reads the pipe may still lose it). Refuses with `AUDIT_REFUSED` when the stream fails, for one because the
 * reader has gone (EPIPE); while the sink is open such a failure reaches the caller of `write` only and does not end
 * the process. Colours follow NO_COLOR and TERM=dumb.
 *
 * @example
 * ```sh
 * node service.js | jq 'select(.action == "kms.export")'
 * ```
 */
export function stdoutSink(options: StdoutSinkOptions = {}): AuditSink {
  const { name = 'stdout', stream = process.stdout, format = 'auto' } = options
  const asText = () => format === 'text' || (format === 'auto' && stream.isTTY === true)
  let closed = false

  // The stream reports an error twice: to the write that met it, and as an event that would end the process.
  const heard = () => undefined
  stream.on('error', heard)

  return {
    name,
    durability: 'handed-over',
    write(entries) {
      if (closed) throw new KmsError('CLOSED', `sink ${name} is closed`)
      const text = entries.map((entry) => `${asText() ? renderEntry(entry, lookOf(stream)) : lineOf(entry)}\n`).join('')
      return new Promise((resolve, reject) => {
        stream.write(text, (error) => {
          if (error === null || error === undefined) return resolve()
          reject(new KmsError('AUDIT_REFUSED', `sink ${name} could not write to its stream`, { cause: error }))
        })
      })
    },
    async close() {
      closed = true
      // An error on its way is told after the write's own answer.
      setImmediate(() => stream.off('error', heard))
    },
  }
}

/** Colours as https://no-color.org asks for. */
function lookOf({ isTTY, columns = 0 }: OutputStream): RenderOptions {
  const { NO_COLOR = '', TERM } = process.env
  const color = isTTY === true && NO_COLOR === '' && TERM !== 'dumb'
  return columns > 0 ? { color, width: columns } : { color }
}
