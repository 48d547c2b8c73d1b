/** @node `keytrail demo`: every audited action on a real file, and what they leave behind. */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { KmsError } from '../model/errors.ts'
import { fileError } from '../storage/filesystem.ts'
import { readTrail, type TrailEntry } from '../trail/reading/read.ts'
import { verifyTrail } from '../trail/verify/verify.ts'
import { describe } from './audit.ts'
import type { Command, CommandLine, ExitCode } from './command.ts'
import { changeOneByte } from './demo-edit.ts'
import { type DemoFile, play } from './demo-play.ts'
import { renderDemo, type Shown } from './demo-view.ts'
import { foundIn, type Home, homeAt } from './home.ts'
import { readInput } from './input.ts'
import { toJson } from './json.ts'
import { largestInput } from './limits.ts'
import { print } from './output.ts'

export const demo: Command = {
  verb: 'demo',
  operands: '[FILE]',
  summary: 'see every audited action on a real file; needs nothing',
  details: `Encrypts, decrypts, signs, verifies, authenticates, rotates and exports with real keys, shows
the entries, verifies the trail, and shows that a changed byte is found. FILE is only read; the
package's LICENSE if left out. Works in a temporary folder, or in DIR, which is kept.`,
  examples: ['keytrail demo', 'keytrail demo photo.jpg --dir ./demo'],
  options: ['dir'],
  async run(line) {
    const path = line.operands[0] ?? fileURLToPath(new URL('../../LICENSE', import.meta.url))
    const file = { name: basename(path), bytes: await readInput(path, largestInput) }
    const dir = line.text('dir')
    if (dir !== undefined) return show(line, { file, home: await emptyHome(dir), kept: true })

    const folder = await temporaryFolder()
    try {
      return await show(line, { file, home: homeAt(folder), kept: false })
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

async function temporaryFolder(): Promise<string> {
  try {
    return await mkdtemp(join(tmpdir(), 'keytrail-demo-'))
  } catch (error) {
    throw fileError('make a folder in', tmpdir(), error)
  }
}

async function emptyHome(folder: string): Promise<Home> {
  const home = homeAt(folder)
  const { keystore, trail } = await foundIn(home)
  if (!keystore && !trail) return home
  throw new KmsError('INVALID_INPUT', `${folder} holds keys or a trail already: the demo needs a folder of its own`)
}

interface Stage {
  readonly file: DemoFile
  readonly home: Home
  readonly kept: boolean
}

async function show(line: CommandLine, stage: Stage): Promise<ExitCode> {
  const { file, home } = stage
  const played = await play(home, file)
  const { vkey } = played
  const entries = await entriesIn(home.audit)
  const verdict = await verifyTrail(home.audit, { vkey })
  const copy = join(home.folder, 'audit-edited')
  await copyFolder(home.audit, copy)
  const edit = await changeOneByte(copy)
  const verdictOnEdited = await verifyTrail(copy, { vkey })

  const shown: Shown = { ...stage, played, entries, verdict, edit, verdictOnEdited }
  await print(line.flag('json') ? `${demoJson(shown)}\n` : renderDemo(shown))
  return verdict.verdict === 'valid' && verdictOnEdited.verdict === 'tampered' ? 0 : 1
}

async function entriesIn(path: string): Promise<readonly TrailEntry[]> {
  const entries: TrailEntry[] = []
  for await (const entry of readTrail(path)) entries.push(entry)
  return entries
}

async function copyFolder(from: string, to: string): Promise<void> {
  try {
    await cp(from, to, { recursive: true })
  } catch (error) {
    throw fileError('copy', from, error)
  }
}

function demoJson({ file, home, kept, played, entries, verdict, edit, verdictOnEdited }: Shown): string {
  return toJson({
    file: { name: file.name, size: file.bytes.length },
    dir: kept ? home.folder : undefined,
    steps: played.steps,
    entries: entries.map(({ index, entry }) => ({ index, entry })),
    verdict: { verdict: verdict.verdict, says: describe(verdict) },
    edit,
    verdictOnEdited: { verdict: verdictOnEdited.verdict, says: describe(verdictOnEdited) },
  })
}
