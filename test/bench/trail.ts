/** @node Many callers and one, with a trail on the disk. */
import { strictEqual } from 'node:assert/strict'
import { closeSync, fdatasync, openSync, readdirSync, rmSync, statSync, write } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import type { FileSystem } from '../../src/storage/filesystem.ts'
import { bareEncrypt, kibibyte, repeated } from './bare.ts'
import { type Trailed, temporaryFolder, trailed, unsyncedFileSystem } from './clients.ts'
import type { Aim, Contest, Figure, Side } from './figure.ts'

const calls = 4096
const rounds = 20

export const trailFigures: readonly Figure[] = [
  {
    name: 'unsynced-256',
    text: 'encrypt into the trail, unsynced, 256 callers ÷ bare',
    of: 'time',
    aim: { atMost: 1.4 },
    open: () => againstBare(256, unsyncedFileSystem),
  },
  synced(64, { atLeast: 0.5 }),
  synced(256, { atLeast: 0.65 }),
  synced(1024, { atLeast: 0.7 }),
  {
    name: 'synced-1',
    text: 'encrypt, synced trail, one caller, p50 ÷ write + fdatasync',
    of: 'time',
    aim: { atMost: 1.25 },
    open: oneCaller,
  },
  {
    name: 'pino-unsynced',
    text: 'trail, unsynced, 256 callers ÷ bare + pino to a file',
    of: 'time',
    open: () => againstPino(256, unsyncedFileSystem),
  },
  {
    name: 'pino-synced',
    text: 'trail, synced, 256 callers ÷ bare + pino to a file',
    of: 'time',
    open: () => againstPino(256),
  },
]

function synced(callers: number, aim: Aim): Figure {
  return {
    name: `synced-${callers}`,
    text: `encrypt, synced trail, ${callers} callers, throughput ÷ bare`,
    of: 'speed',
    aim,
    open: () => againstBare(callers),
  }
}

async function againstBare(callers: number, fs?: FileSystem): Promise<Contest> {
  const client = await trailed(fs)
  return {
    reference: repeated(calls, () => bareEncrypt(kibibyte)),
    ours: encrypting(client, callers),
    turns: 1,
    rounds,
    close: client.close,
  }
}

function encrypting({ kms, side }: Trailed, callers: number): Side {
  return side(callers, calls, () => kms.encrypt({ key: 'key', plaintext: kibibyte }))
}

/** Ours alternates call by call with a write and an fdatasync of as many bytes, to a file beside the trail. */
async function oneCaller(): Promise<Contest> {
  const client = await trailed()
  const one = () => client.kms.encrypt({ key: 'key', plaintext: kibibyte })
  const bytes = new Uint8Array(await bytesPerCall(client, one)).fill(0x20)
  const folder = temporaryFolder()
  const fd = openSync(join(folder, 'reference'), 'a')
  return {
    reference: { calls: 1, run: () => writeAndSync(fd, bytes) },
    ours: client.side(1, 1, one),
    turns: 60,
    timeOf: 'median',
    rounds,
    async close() {
      closeSync(fd)
      rmSync(folder, { recursive: true, force: true })
      await client.close()
    },
  }
}

/** An entry and its batch's commit line. */
async function bytesPerCall({ trail }: Trailed, one: () => Promise<unknown>): Promise<number> {
  const sample = 20
  const before = segmentBytes(trail.path)
  for (let call = 0; call < sample; call++) await one()
  return Math.round((segmentBytes(trail.path) - before) / sample)
}

function segmentBytes(trail: string): number {
  const folder = join(trail, 'segments')
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

function writeAndSync(fd: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, null, (unwritten) => {
      if (unwritten) reject(unwritten)
      else fdatasync(fd, (unsynced) => (unsynced ? reject(unsynced) : resolve()))
    })
  })
}

/** What a team without keytrail does: encrypt, log a line of the same facts, hope. pino as it comes, writing at once. */
async function againstPino(callers: number, fs?: FileSystem): Promise<Contest> {
  const client = await trailed(fs)
  const folder = temporaryFolder()
  const destination = pino.destination({ dest: join(folder, 'app.log'), sync: true })
  const logger = pino(destination)
  let lines = 0
  return {
    reference: repeated(calls, () => {
      const sealed = bareEncrypt(kibibyte)
      const payloadSizes = { plaintext: kibibyte.length, ciphertext: sealed.length }
      logger.info({ ...facts, payloadSizes }, 'kms.encrypt')
      lines += 1
    }),
    ours: encrypting(client, callers),
    turns: 1,
    rounds,
    async close() {
      destination.end()
      strictEqual(lines % calls, 0)
      rmSync(folder, { recursive: true, force: true })
      await client.close()
    },
  }
}

const facts = {
  action: 'kms.encrypt',
  resourceType: 'kms_key',
  resourceIdentity: 'kms-7f3k2m9q4w8x1z5c',
  outcome: 'success',
  statusCode: 200,
  region: 'nl-01',
  project: 'billing',
  keySlug: 'key',
  keyType: 'aes256-gcm96',
  keyVersion: 1,
} as const
