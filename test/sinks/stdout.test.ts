import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import process from 'node:process'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import type { AuditEntry } from '../../src/model/entry.ts'
import { lineOf } from '../../src/model/line.ts'
import { renderEntry } from '../../src/sinks/render.ts'
import { type OutputStream, stdoutSink } from '../../src/sinks/stdout.ts'
import { exampleEntries, exampleEntry } from '../../src/testing/entries.ts'
import { sinkConformance } from '../../src/testing/sink-conformance.ts'
import { fromSource } from '../from-source.mjs'

const program = fileURLToPath(new URL('./stdout-child.ts', import.meta.url))

/** A stream that keeps what it gets, as a terminal or as a pipe; fails once when told. */
function output(terminal?: { readonly columns: number }) {
  let kept = ''
  let failing = false
  const stream: Writable = new Writable({
    autoDestroy: false,
    write(chunk: Buffer, _, done) {
      if (failing) {
        failing = false
        return done(Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' }))
      }
      kept += chunk.toString()
      done()
    },
  })
  const seen: OutputStream = terminal === undefined ? stream : Object.assign(stream, { isTTY: true, ...terminal })
  return {
    stream: seen,
    text: () => kept,
    failNext: () => {
      failing = true
    },
  }
}

function entriesIn(lines: string): readonly AuditEntry[] {
  return lines
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AuditEntry)
}

for (const { name, run } of sinkConformance(() => {
  const out = output()
  return { sink: stdoutSink({ stream: out.stream }), accepted: () => entriesIn(out.text()) }
})) {
  test(`stdout sink: ${name}`, run)
}

test('writes JSON Lines where no terminal is', async () => {
  const out = output()
  await stdoutSink({ stream: out.stream }).write(exampleEntries(2))
  assert.equal(out.text(), `${lineOf(exampleEntry(0))}\n${lineOf(exampleEntry(1))}\n`)
})

test('writes a coloured line an entry on a terminal, cut to its width', async (t) => {
  withoutVariables(t)
  const out = output({ columns: 60 })
  await stdoutSink({ stream: out.stream }).write(exampleEntries(2))
  assert.equal(
    out.text(),
    `${exampleEntries(2)
      .map((entry) => renderEntry(entry, { color: true, width: 60 }))
      .join('\n')}\n`,
  )
})

for (const [name, value] of [
  ['NO_COLOR', '1'],
  ['TERM', 'dumb'],
] as const) {
  test(`uses no colour with ${name}=${value}`, async (t) => {
    withoutVariables(t)
    process.env[name] = value
    const out = output({ columns: 200 })
    await stdoutSink({ stream: out.stream }).write(exampleEntries(1))
    assert.equal(out.text(), stripVTControlCharacters(out.text()))
  })
}

test('an empty NO_COLOR asks for nothing', async (t) => {
  withoutVariables(t)
  process.env['NO_COLOR'] = ''
  const out = output({ columns: 200 })
  await stdoutSink({ stream: out.stream }).write(exampleEntries(1))
  assert.notEqual(out.text(), stripVTControlCharacters(out.text()))
})

test('writes the format that was asked for, and no colours into a pipe', async () => {
  const [pipe, terminal] = [output(), output({ columns: 60 })]
  await stdoutSink({ stream: pipe.stream, format: 'text' }).write(exampleEntries(1))
  await stdoutSink({ stream: terminal.stream, format: 'lines' }).write(exampleEntries(1))
  assert.equal(pipe.text(), `${renderEntry(exampleEntry())}\n`)
  assert.equal(terminal.text(), `${lineOf(exampleEntry())}\n`)
})

test('waits until the reader takes what was written', async () => {
  const taken: (() => void)[] = []
  const sink = stdoutSink({ stream: new Writable({ write: (_chunk, _, done) => void taken.push(done) }) })
  let accepted = false
  const written = Promise.resolve(sink.write(exampleEntries(1))).then(() => {
    accepted = true
  })
  await new Promise(setImmediate)
  assert.equal(taken.length, 1)
  assert.equal(accepted, false)
  taken[0]?.()
  await written
})

test('a stream that fails refuses the write, and the process lives on', async () => {
  const out = output()
  const sink = stdoutSink({ stream: out.stream })
  await sink.write(exampleEntries(1))
  out.failNext()
  await assert.rejects(
    async () => sink.write(exampleEntries(1, 1)),
    (error: Error) => {
      assert.match(`${error.message} ${String(error.cause)}`, /stdout could not write.*ENOSPC/)
      return true
    },
  )
})

test('a stream that has ended refuses the write', async () => {
  const out = output()
  const sink = stdoutSink({ stream: out.stream })
  out.stream.end()
  await assert.rejects(async () => sink.write(exampleEntries(1)), { code: 'AUDIT_REFUSED' })
})

test('leaves the stream open and without its listener when closed', async () => {
  const out = output()
  const before = out.stream.listenerCount('error')
  const sink = stdoutSink({ stream: out.stream })
  await sink.close?.()
  await new Promise(setImmediate)
  assert.equal(out.stream.listenerCount('error'), before)
  assert.equal(out.stream.writable, true)
})

test('a real pipe gets every entry', async () => {
  const running = spawn(process.execPath, [...fromSource, program, '20', '500'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err] = await Promise.all([text(running.stdout), text(running.stderr)])
  assert.equal(err, 'accepted 10000\n')
  assert.deepEqual(entriesIn(out), exampleEntries(10_000))
})

test('a reader that goes away is a refusal, not a crash', async () => {
  const running = spawn(process.execPath, [...fromSource, program, '100000', '10'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const err = text(running.stderr)
  await once(running.stdout, 'data')
  running.stdout.destroy()
  const [code] = await once(running, 'exit')
  assert.match(await err, /^refused with AUDIT_REFUSED .*EPIPE/)
  assert.equal(code, 0)
})

// util-linux' script runs a program on a pseudo-terminal.
const noTerminal = existsSync('/usr/bin/script') ? false : 'script(1) is not here: no pseudo-terminal'

test('a real terminal gets readable lines', { skip: noTerminal }, () => {
  const command = [process.execPath, ...fromSource, program, '1', '2'].map((word) => `'${word}'`).join(' ')
  const { NO_COLOR: _, ...env } = process.env
  const run = spawnSync('/usr/bin/script', ['-qec', command, '/dev/null'], {
    env: { ...env, TERM: 'xterm' },
    encoding: 'utf8',
    input: '',
  })
  assert.match(run.stdout, /\u001b\[32msuccess\u001b\[0m/)
  const lines = stripVTControlCharacters(run.stdout).split('\r\n')
  assert.match(lines[0] ?? '', /^2026-01-02T03:04:05\.000Z success kms\.encrypt/)
  assert.match(lines[1] ?? '', /^2026-01-02T03:04:05\.001Z success kms\.encrypt/)
})

/** Colours as if nobody had asked for none; the environment is put back after the test. */
function withoutVariables(t: { after(run: () => void): void }): void {
  const { NO_COLOR, TERM } = process.env
  t.after(() => {
    restore('NO_COLOR', NO_COLOR)
    restore('TERM', TERM)
  })
  restore('NO_COLOR', undefined)
  restore('TERM', 'xterm')
}

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
}
