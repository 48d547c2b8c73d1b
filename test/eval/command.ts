/** @node The evaluation as a command: its options, its lives one after the other, and what it prints. */
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { Detect } from './evaluate.ts'
import { expected } from './expected.ts'
import { pageOf } from './page.ts'
import { scoreOf, shortfalls, type Trial } from './score.ts'
import { seedsFrom } from './seeds.ts'
import { tryOut } from './trial.ts'

/** Seeds that are drawn from a commit. */
const drawn = 4

export interface Printing {
  readonly print: (text: string) => void
  readonly tell: (line: string) => void
}

/** Exit code: 0, or 1 if an aim is missed, or 2 for a wrong option or a detector that is not there. */
export async function evaluateBy(args: readonly string[], { print, tell }: Printing): Promise<0 | 1 | 2> {
  const asked = await readOptions(args)
  if (typeof asked === 'string') {
    tell(asked)
    return 2
  }
  const { seeds, scale, detect, isJson } = asked
  const trials: Trial[] = []
  for (const seed of seeds)
    for (const life of ['ordinary', 'attacked'] as const) {
      const trial = await tryOut({ seed, scale, life, detect })
      trials.push(trial)
      tell(`seed ${seed}, ${life}: ${trial.entries} entries, detector ${trial.seconds.toFixed(1)} s`)
    }
  const score = scoreOf(trials, expected)
  const whole = { scale, ...score, falseAlarms: falseAlarmsOf(trials) }
  print(isJson ? `${JSON.stringify(whole, undefined, 2)}\n` : pageOf(score, scale))
  return shortfalls(score).length === 0 ? 0 : 1
}

/** Or what is wrong with them. */
async function readOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: 'string', default: '1,2,3' },
      'drawn-from': { type: 'string' },
      scale: { type: 'string', default: '1' },
      detector: { type: 'string', default: fileURLToPath(new URL('./detector.ts', import.meta.url)) },
      json: { type: 'boolean', default: false },
    },
  })
  const commit = values['drawn-from']
  if (commit !== undefined && !/^[0-9a-f]{40}$/.test(commit)) return '--drawn-from takes the whole id of a commit'
  const given = values.seeds.split(',').map((text) => (/^\d+$/.test(text) ? Number(text) : Number.NaN))
  if (!given.every(Number.isSafeInteger)) return '--seeds takes whole numbers, such as 1,2,3'
  const seeds = commit === undefined ? given : seedsFrom(commit, drawn)
  const scale = Number(values.scale)
  if (!(scale > 0 && scale <= 20)) return '--scale takes a number above 0, at most 20'
  const detect = await detectorIn(resolve(values.detector))
  return typeof detect === 'string' ? detect : { seeds, scale, detect, isJson: values.json }
}

/** What a module gives as `detect(entries, company)`; or why it does not. */
async function detectorIn(path: string): Promise<Detect | string> {
  let module: unknown
  try {
    module = await import(pathToFileURL(path).href)
  } catch (error) {
    return `no detector could be loaded from ${path}: ${error instanceof Error ? error.message : String(error)}`
  }
  const named = typeof module === 'object' && module !== null && 'detect' in module ? module.detect : undefined
  // What it gives back is held against `Finding` by whoever writes it.
  return typeof named === 'function' ? (named as Detect) : `${path} exports no function detect(entries, company)`
}

/** Each, so that somebody can look at it. */
function falseAlarmsOf(trials: readonly Trial[]) {
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
