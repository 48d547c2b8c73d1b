/**
 * @node The bench: every figure in turn. Fails when something does not work, never because it is slow.
 *
 *     run.mjs [--once | --quick] [--only NAME…] [--json]
 *     profile.mjs NAME
 */
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { parseArgs } from 'node:util'
import { accessFigures } from './access.ts'
import { auditedFigures } from './audited.ts'
import { contextFigures } from './context.ts'
import { engineFigures } from './engines.ts'
import { envelopeFigures } from './envelope.ts'
import { contest, type Effort, type Figure, type Side } from './figure.ts'
import { machineLine } from './machine.ts'
import { peerFigures } from './peers.ts'
import { readingFigures } from './reading.ts'
import { signatureFigures } from './signatures.ts'
import { sizeFigures } from './sizes.ts'
import { isMet, type Row, tableOf } from './table.ts'
import { trailFigures } from './trail.ts'
import { watchFigures } from './watch.ts'

const figures: readonly Figure[] = [
  ...auditedFigures,
  ...contextFigures,
  ...accessFigures,
  ...signatureFigures,
  ...trailFigures,
  ...watchFigures,
  ...peerFigures,
  ...sizeFigures,
  ...engineFigures,
  ...envelopeFigures,
  ...readingFigures,
]

const warmUpMs = 1000
const profiledMs = 4000
const samplingMicros = 200

const { values, positionals } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    // The file that the profile of the one figure named goes to.
    profile: { type: 'string' },
  },
  allowPositionals: true,
})
const names = [...values.only, ...positionals]
const unknown = names.filter((name) => figures.every((figure) => figure.name !== name))
const chosen = names.length === 0 ? figures : figures.filter(({ name }) => names.includes(name))

if (unknown.length > 0 || (values.profile !== undefined && names.length !== 1)) {
  console.error(unknown.length > 0 ? `there is no figure ${unknown.join(', ')}` : 'name one figure')
  console.error(`figures: ${figures.map(({ name }) => name).join(' ')}`)
  process.exitCode = 2
} else if (values.profile !== undefined) {
  for (const figure of chosen) await profile(figure, values.profile)
} else {
  await measureAll(values.once ? 'once' : values.quick ? 'quick' : 'full')
}

async function measureAll(effort: Effort): Promise<void> {
  const machine = await machineLine()
  const table = tableOf(chosen)
  const say = values.json ? () => {} : console.log
  say(`${machine}\n\n${table.head}`)
  const rows: Row[] = []
  for (const figure of chosen) {
    try {
      const row = { figure, measured: await measure(figure, effort) }
      rows.push(row)
      say(table.line(row))
    } catch (error) {
      // The others are still worth measuring.
      console.error(`${figure.name} does not work:`, error)
      process.exitCode = 1
    }
  }
  if (values.json) console.log(JSON.stringify({ machine, effort, figures: rows.map(plain) }, undefined, 2))
}

function measure(figure: Figure, effort: Effort): Promise<Row['measured']> {
  return 'open' in figure ? contest(figure, effort) : figure.count(effort)
}

function plain({ figure, measured }: Row): object {
  const { name, text, aim } = figure
  return { name, text, ...measured, ...(aim && { aim, met: isMet(aim, measured) }) }
}

/** Our side alone, again and again; the profile of it, without start and warm-up, goes to `path`. */
async function profile(figure: Figure, path: string): Promise<void> {
  if (!('open' in figure)) throw new Error(`${figure.name} is a number that is counted, not a loop`)
  const { ours, close } = await figure.open('quick')
  await repeat(ours, warmUpMs)
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: samplingMicros })
  await session.post('Profiler.start')
  await repeat(ours, profiledMs)
  const stopped = await session.post('Profiler.stop')
  session.disconnect()
  await close?.()
  writeFileSync(path, JSON.stringify(stopped.profile))
}

async function repeat({ run, check }: Side, forMs: number): Promise<void> {
  const until = performance.now() + forMs
  while (performance.now() < until) {
    await run()
    check?.()
  }
}
