/** @node Asks for a secret on the terminal without showing it. */
import { openSync, writeSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import { wipe } from '../crypto/bytes.ts'
import { KmsError } from '../model/errors.ts'

const enter = [0x0a, 0x0d]
const endOfInput = 0x04
const interrupt = 0x03
const erase = [0x08, 0x7f]
const eraseAll = 0x15
const longest = 1024

/**
 * What was typed until Enter, as UTF-8. Asks the terminal itself, so that standard input may be the data.
 *
 * Errors: `INVALID_INPUT` without a terminal, `ABORTED` when the user gives up (Ctrl-C, Ctrl-D).
 */
export async function askSecret(question: string): Promise<Uint8Array> {
  const fd = openTerminal()
  const terminal = new ReadStream(fd)
  const typed = new Uint8Array(longest)
  try {
    // Before the question: what is typed from then on is not shown.
    terminal.setRawMode(true)
    writeSync(fd, question)
    return typed.slice(0, await readLine(terminal, typed))
  } finally {
    wipe(typed)
    terminal.setRawMode(false)
    writeSync(fd, '\n')
    terminal.destroy()
  }
}

function openTerminal(): number {
  try {
    return openSync('/dev/tty', 'r+')
  } catch (error) {
    const message = 'there is no terminal to ask for the passphrase: set KEYTRAIL_PASSPHRASE or give --passphrase-file'
    throw new KmsError('INVALID_INPUT', message, { cause: error })
  }
}

/** Fills `typed`; resolves to how many bytes. In raw mode the terminal edits nothing and sends no signals. */
function readLine(terminal: ReadStream, typed: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    let length = 0
    const giveUp = () => reject(new KmsError('ABORTED', 'no passphrase was given'))
    terminal.on('end', giveUp)
    terminal.on('error', giveUp)
    terminal.on('data', (keys: Uint8Array) => {
      for (const key of keys) {
        if (enter.includes(key)) return resolve(length)
        if (key === interrupt || key === endOfInput) return giveUp()
        if (key === eraseAll) length = 0
        else if (erase.includes(key)) length = withoutLast(typed, length)
        else if (length < longest) typed[length++] = key
      }
      wipe(keys)
    })
  })
}

/** The length without the last character, which may be several bytes of UTF-8 (RFC 3629 §3). */
function withoutLast(typed: Uint8Array, length: number): number {
  let at = length - 1
  while (at > 0 && ((typed[at] ?? 0) & 0xc0) === 0x80) at--
  return Math.max(0, at)
}
