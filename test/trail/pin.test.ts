/** @node Pins: kept whole, never stepping back, and whatever else a file of that name may hold. */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { engine } from '../../src/crypto/node.ts'
import { KmsError, type KmsErrorCode } from '../../src/model/errors.ts'
import { type FileSystem, nodeFileSystem } from '../../src/storage/filesystem.ts'
import { readPin, writePin } from '../../src/trail/anchors/pin.ts'
import { formatCheckpoint } from '../../src/trail/checkpoint.ts'
import { noteSigner } from '../../src/trail/note.ts'
import { noShared, sharedJson } from '../shared.ts'
import { freshFolder } from '../storage/folder.ts'
import { cosignerOf } from './cosigner.ts'
import { signerOf } from './entries.ts'

const fs = nodeFileSystem

function noteAt(size: bigint, { root = 9, origin = 'keytrail/test' } = {}): string {
  const checkpoint = { origin, size, root: new Uint8Array(32).fill(root) }
  return noteSigner(engine, origin, signerOf(7)).sign(formatCheckpoint(checkpoint))
}

function refused(code: KmsErrorCode, message: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof KmsError && error.code === code && message.test(error.message)
}

describe('a pin', () => {
  test('is read as it was written, and gives way to a larger one', async (t) => {
    const path = join(freshFolder(t), 'pin')
    for (const size of [0n, 5n, 6n, 2n ** 53n + 1n, 2n ** 62n]) {
      await writePin(fs, path, noteAt(size))
      const { note, checkpoint } = await readPin(fs, path)
      strictEqual(note, noteAt(size))
      deepStrictEqual(checkpoint, { origin: 'keytrail/test', size, root: new Uint8Array(32).fill(9) })
    }
  })

  test('stays when the trail has fewer entries, and the error says what that means', async (t) => {
    const path = join(freshFolder(t), 'pin')
    await writePin(fs, path, noteAt(6n))
    await rejects(
      writePin(fs, path, noteAt(5n)),
      refused('ROLLED_BACK', /pins 6 entries and the trail has 5: .*rolled back/),
    )
    strictEqual((await readPin(fs, path)).note, noteAt(6n))
  })

  test('stays when the trail has another root at its size', async (t) => {
    const path = join(freshFolder(t), 'pin')
    await writePin(fs, path, noteAt(6n))
    await rejects(writePin(fs, path, noteAt(6n, { root: 8 })), refused('ROLLED_BACK', /pins other entries/))
    strictEqual((await readPin(fs, path)).note, noteAt(6n))
  })

  test('of another trail stays, however small', async (t) => {
    const path = join(freshFolder(t), 'pin')
    await writePin(fs, path, noteAt(6n, { origin: 'keytrail/other' }))
    await rejects(writePin(fs, path, noteAt(7n)), refused('INVALID_INPUT', /another trail, keytrail\/other/))
  })

  test('gathers the cosignatures of one checkpoint, the newest of each witness, and loses none', async (t) => {
    const path = join(freshFolder(t), 'pin')
    const [one, two] = [cosignerOf(1), cosignerOf(2)]
    const note = noteAt(6n)
    await writePin(fs, path, note + one.cosign(note, 100))
    await writePin(fs, path, note)
    strictEqual((await readPin(fs, path)).note, note + one.cosign(note, 100))
    await writePin(fs, path, note + two.cosign(note, 101))
    await writePin(fs, path, note + one.cosign(note, 102))
    const lines = (await readPin(fs, path)).note.slice(note.length - 1).split('\n')
    for (const line of [two.cosign(note, 101), one.cosign(note, 102)]) ok(lines.includes(line.trimEnd()))
    const whole = (await readPin(fs, path)).note.trimEnd().split('\n')
    strictEqual(whole.length, 7, 'three lines of text, an empty one, three signatures')
  })

  test('that changes nothing is not written again', async (t) => {
    const path = join(freshFolder(t), 'pin')
    await writePin(fs, path, noteAt(6n))
    const still: FileSystem = { ...fs, rename: () => Promise.reject(new Error('written')) }
    await writePin(still, path, noteAt(6n))
    await rejects(writePin(still, path, noteAt(7n)), KmsError)
  })

  test('is on the disk before its name is, and its name before the call ends', async (t) => {
    const folder = freshFolder(t)
    const path = join(folder, 'pin')
    const done: string[] = []
    const watched: FileSystem = {
      ...fs,
      async open(...args) {
        const file = await fs.open(...args)
        return {
          ...file,
          async sync() {
            await file.sync()
            done.push('sync')
          },
        }
      },
      async rename(from, to) {
        await fs.rename(from, to)
        done.push('rename')
      },
      async syncFolder(name) {
        await fs.syncFolder(name)
        done.push('syncFolder')
      },
    }
    await writePin(watched, path, noteAt(1n))
    await writePin(watched, path, noteAt(2n))
    deepStrictEqual(done, ['sync', 'rename', 'syncFolder', 'sync', 'rename', 'syncFolder'])
    deepStrictEqual(readdirSync(folder), ['pin'])
  })

  test('survives a disk that fails', async (t) => {
    const path = join(freshFolder(t), 'pin')
    await writePin(fs, path, noteAt(6n))
    const broken: FileSystem = {
      ...fs,
      open: () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' })),
    }
    await rejects(writePin(broken, path, noteAt(7n)), refused('PROVIDER_UNAVAILABLE', /ENOSPC/))
    strictEqual((await readPin(fs, path)).note, noteAt(6n))
  })

  test('of the published logs is read', { skip: noShared }, async (t) => {
    const path = join(freshFolder(t), 'pin')
    interface Answers {
      readonly checkpoints: { readonly list: readonly { readonly cosigned: string; readonly size: number }[] }
    }
    for (const { cosigned, size } of sharedJson<Answers>('vectors/tlog.json').checkpoints.list) {
      await writePin(fs, path, cosigned)
      const pin = await readPin(fs, path)
      strictEqual(pin.note, cosigned)
      strictEqual(pin.checkpoint.size, BigInt(size))
    }
  })
})

describe('a file that is no pin', () => {
  const hostile: readonly (readonly [string, string | Uint8Array])[] = [
    ['empty', ''],
    ['one newline', '\n'],
    ['cut', noteAt(6n).slice(0, -1)],
    ['without its signature', noteAt(6n).slice(0, noteAt(6n).indexOf('\n\n') + 1)],
    ['with Windows’ newlines', noteAt(6n).replaceAll('\n', '\r\n')],
    ['with a byte order mark before a short root', `\ufeff${noteAt(6n).replace('=\n', '\n')}`],
    ['not UTF-8', Buffer.concat([Buffer.of(0xff), Buffer.from(noteAt(6n))])],
    ['a note, but no checkpoint', noteAt(6n).replace('\n6\n', '\nsix\n')],
    ['a size with a leading zero', noteAt(6n).replace('\n6\n', '\n06\n')],
    ['a short root', noteAt(6n).replace('=\n', '\n')],
    ['two notes', noteAt(6n) + noteAt(7n)],
    ['JSON', JSON.stringify({ note: noteAt(6n) })],
    ['large', noteAt(6n).replace('\n\n', `\n${'a'.repeat(600_000)}\n\n`)],
  ]

  for (const [what, bytes] of hostile)
    test(`(${what}) is refused, and never overwritten`, async (t) => {
      const path = join(freshFolder(t), 'pin')
      writeFileSync(path, bytes)
      await rejects(readPin(fs, path), refused('INVALID_INPUT', /is no pin/))
      await rejects(writePin(fs, path, noteAt(7n)), refused('INVALID_INPUT', /is no pin/))
      deepStrictEqual(readFileSync(path), Buffer.from(bytes))
    })

  test('because it is not there, or is a folder, or a device, is refused', async (t) => {
    const folder = freshFolder(t)
    await rejects(readPin(fs, join(folder, 'pin')), refused('INVALID_INPUT', /there is no pin at/))
    mkdirSync(join(folder, 'sub'))
    await rejects(readPin(fs, join(folder, 'sub')), refused('INVALID_INPUT', /is no pin/))
    symlinkSync('/dev/zero', join(folder, 'zero'))
    await rejects(readPin(fs, join(folder, 'zero')), refused('INVALID_INPUT', /is no pin/))
    await rejects(writePin(fs, join(folder, 'zero'), noteAt(1n)), refused('INVALID_INPUT', /is no pin/))
    for (const path of ['', 'a\0b']) await rejects(readPin(fs, path), refused('INVALID_INPUT', /path/))
    await rejects(writePin(fs, join(folder, 'none', 'pin'), noteAt(1n)), refused('PROVIDER_UNAVAILABLE', /ENOENT/))
  })

  test('because it is too large is not even read', async (t) => {
    const path = join(freshFolder(t), 'pin')
    writeFileSync(path, 'a'.repeat(1_000_000))
    const unread: FileSystem = { ...fs, readFile: () => Promise.reject(new Error('read')) }
    await rejects(readPin(unread, path), refused('INVALID_INPUT', /is no pin/))
  })

  test('cannot be made of something else than a checkpoint', async (t) => {
    const folder = freshFolder(t)
    for (const [what, bytes] of hostile)
      if (typeof bytes === 'string')
        await rejects(writePin(fs, join(folder, 'pin'), bytes), refused('INVALID_INPUT', /no signed checkpoint/), what)
    deepStrictEqual(readdirSync(folder), [])
  })
})
