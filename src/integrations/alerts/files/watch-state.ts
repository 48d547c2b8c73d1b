/** How far a trail was watched, and what the detector knows: kept in a file, so that a restart goes on where it was. */
import { fromUtf8, utf8 } from '../../../crypto/bytes.ts'
import { randomToken } from '../../../crypto/random.ts'
import type { DetectorState } from '../../../detect/detector.ts'
import { KmsError } from '../../../model/errors.ts'
import { nodeFileSystem, readIfThere } from '../../../storage/filesystem.ts'
import { replaceFile } from '../../../storage/replace.ts'
import type { Cursor } from '../../../trail/reading/runs.ts'

export interface WatchState {
  /** For `createDetector`; undefined when there is no file yet. */
  readonly detector: DetectorState | undefined
  /** By name of the instance: how far its trail was read. */
  readonly cursors: ReadonlyMap<string, Cursor>
  /** Replaces the file, whole or not at all (0600: it names actors, addresses and keys). Errors: `PROVIDER_UNAVAILABLE`, `INTERNAL`. */
  save(detector: DetectorState, cursors: ReadonlyMap<string, Cursor>): Promise<void>
}

const format = 'keytrail-watch/1'

/**
 * What the file at `path` says; a fresh state when there is none. Of two watches that share one, the last to keep it wins: what the
 * other told may be told again, and nothing is missed.
 *
 * Errors: `INVALID_INPUT` for a file that is not such a state, `PROVIDER_UNAVAILABLE` when it cannot be read.
 */
export async function openWatchState(path: string): Promise<WatchState> {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new KmsError('INVALID_INPUT', "path of openWatchState must be a file's name")
  const bytes = await readIfThere(nodeFileSystem, path)
  // Nobody locks the folder: another watch may keep its state here at the same moment.
  const temporary = `${path}.${randomToken()}.tmp`
  return {
    ...(bytes === undefined ? { detector: undefined, cursors: new Map() } : parsed(bytes, path)),
    async save(detector, cursors) {
      await replaceFile(nodeFileSystem, path, utf8(textOf(detector, cursors)), { temporary })
    },
  }
}

function textOf(detector: DetectorState, cursors: ReadonlyMap<string, Cursor>): string {
  const each = [...cursors].map(([name, { segment, next, offset }]) => {
    return [name, { segment: String(segment), next: String(next), offset }] as const
  })
  return `${JSON.stringify({ format, cursors: Object.fromEntries(each), detector })}\n`
}

function parsed(bytes: Uint8Array, path: string): Pick<WatchState, 'detector' | 'cursors'> {
  const problem = `${path} is not a state that was kept by watching: remove it to begin anew`
  try {
    const state: unknown = JSON.parse(fromUtf8(bytes) ?? '')
    if (!isObject(state) || state['format'] !== format || !isObject(state['cursors']) || !isDetector(state['detector']))
      throw new KmsError('INVALID_INPUT', problem)
    const cursors = Object.entries(state['cursors']).map(([name, cursor]) => {
      if (!isObject(cursor) || !isCount(cursor['offset'])) throw new KmsError('INVALID_INPUT', problem)
      const [segment, next] = [indexOf(cursor['segment']), indexOf(cursor['next'])]
      if (segment === undefined || next === undefined) throw new KmsError('INVALID_INPUT', problem)
      return [name, { segment, next, offset: cursor['offset'] }] as const
    })
    return { detector: state['detector'], cursors: new Map(cursors) }
  } catch (error) {
    if (error instanceof SyntaxError) throw new KmsError('INVALID_INPUT', problem, { cause: error })
    throw error
  }
}

/** Its tables have the shape of tables: what is in the cells is the rules' own. */
function isDetector(value: unknown): value is DetectorState {
  if (!isObject(value) || value['format'] !== 'keytrail-detector/1' || !isObject(value['rules'])) return false
  if (!isCount(value['entries']) || !isCount(value['duplicates']) || !isTable(value['writers'])) return false
  return Object.values(value['rules']).every((rule) => {
    if (!isObject(rule) || !isObject(rule['tables'])) return false
    return [undefined, 'number'].includes(typeofGiven(rule['wakeAt'])) && Object.values(rule['tables']).every(isTable)
  })
}

function typeofGiven(value: unknown): string | undefined {
  return value === undefined ? undefined : typeof value
}

function isTable(value: unknown): boolean {
  if (!isObject(value) || !isCount(value['evicted']) || !Array.isArray(value['cells'])) return false
  return value['cells'].every((cell: unknown) => {
    return Array.isArray(cell) && typeof cell[0] === 'string' && typeof cell[1] === 'object' && cell[1] !== null
  })
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function indexOf(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : undefined
}
