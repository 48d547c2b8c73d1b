/** `--rules FILE`: what is watched for, and how. */
import { fromUtf8 } from '../crypto/bytes.ts'
import { checkSettings, type WatchSettings } from '../detect/settings.ts'
import { KmsError } from '../model/errors.ts'
import type { CommandLine } from './command.ts'
import { readInput } from './input.ts'

const mostBytes = 4 * 1024 * 1024

/** Those of the file that `--rules` names; none without it. Errors: `INVALID_INPUT`, `PROVIDER_UNAVAILABLE`. */
export async function settingsOf(line: CommandLine): Promise<WatchSettings> {
  const path = line.text('rules')
  if (path === undefined) return {}
  return checkSettings(parsed(await readInput(path, mostBytes)))
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes) ?? '')
  } catch (cause) {
    throw new KmsError('INVALID_INPUT', 'the file of --rules must be JSON in UTF-8', { cause })
  }
}
