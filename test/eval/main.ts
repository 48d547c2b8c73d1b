/** @node Evaluates a detector: `npm run eval:detect -- [--seeds 1,2,3] [--scale 1] [--detector FILE] [--json]`. Exit 1: an aim is missed. */
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { Detect } from './evaluate.ts'
import { expected } from './expected.ts'
import { pageOf } from './page.ts'
import { scoreOf, shortfalls, type Trial } from './score.ts'
import { tryOut } from './trial.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1,2,3' },
    scale: { type: 'string', default: '1' },
    detector: { type: 'string', default: fileURLToPath(new URL('./detector.ts', import.meta.url)) },
    json: { type: 'boolean', default: false },
  },
})
const seeds = values.seeds.split(',').map(Number)
const scale = Number(values.scale)
if (seeds.some((seed) => !Number.isSafeInteger(seed) || seed < 0)) leave('--seeds takes whole numbers, such as 1,2,3')
if (!(scale > 0 && scale <= 20)) leave('--scale takes a number above 0, at most 20')
const detect = await detectorIn(resolve(values.detector))

const trials: Trial[] = []
for (const seed of seeds)
  for (const life of ['ordinary', 'attacked'] as const) {
    const trial = await tryOut({ seed, scale, life, detect })
    trials.push(trial)
    process.stderr.write(`seed ${seed}, ${life}: ${trial.entries} entries, detector ${trial.seconds.toFixed(1)} s\n`)
  }
const score = scoreOf(trials, expected)
process.stdout.write(
  values.json
    ? `${JSON.stringify({ scale, ...score, falseAlarms: falseAlarms() }, undefined, 2)}\n`
    : pageOf(score, scale),
)
process.exitCode = shortfalls(score).length === 0 ? 0 : 1

/** Each, so that somebody can look at it. */
function falseAlarms() {
  return trials.flatMap(({ seed, life, judgement }) =>
    judgement.findings
      .filter(({ isAlarm, isTrue }) => isAlarm && !isTrue)
      .map(({ finding: { rule, level, at, window, subject, evidence } }) => ({
        seed,
        life,
        rule,
        level,
        at,
        window,
        subject,
        evidence: evidence.slice(0, 3),
      })),
  )
}

/** A module with `detect(entries, company)`. */
async function detectorIn(path: string): Promise<Detect> {
  const module: unknown = await import(pathToFileURL(path).href).catch((error: unknown) =>
    leave(`no detector could be loaded from ${path}: ${error instanceof Error ? error.message : 'unknown'}`),
  )
  const named = typeof module === 'object' && module !== null && 'detect' in module ? module.detect : undefined
  if (typeof named !== 'function') return leave(`${path} exports no function detect(entries, company)`)
  // What it gives back is held against `Finding` by whoever writes it.
  return named as Detect
}

function leave(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}
