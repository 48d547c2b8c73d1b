/** @node Alive or not: asked of a Unix socket, because a pid means nothing in another namespace. */
import { closeSync, constants, openSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { KmsError } from '../model/errors.ts'
import { systemCode } from './filesystem.ts'

export interface Listener {
  /** Stops listening and removes the socket. Idempotent. */
  close(): Promise<void>
}

/**
 * Listens on a socket file at `path` for as long as this process lives; the kernel ends it with the process, however
 * that dies. Never keeps the process alive.
 */
export async function listenAt(path: string): Promise<Listener> {
  const address = openAddress(path)
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // `exclusive`: in a cluster the primary would listen for its worker, and outlive it.
    server.listen({ path: address.path, exclusive: true }, resolve)
  }).catch((error) => {
    address.close()
    throw error
  })
  // A connection that cannot be accepted (no descriptor left) has been answered all the same: someone is there.
  server.on('error', () => undefined)
  server.unref()
  let closed: Promise<void> | undefined
  return {
    close() {
      closed ??= new Promise<void>((resolve) => server.close(() => resolve())).then(address.close)
      return closed
    },
  }
}

/** Whether a living process listens at `path`. In doubt (no permission, a full queue) it does. */
export async function someoneListens(path: string): Promise<boolean> {
  const address = openAddress(path)
  try {
    return await new Promise<boolean>((resolve) => {
      const socket = connect({ path: address.path })
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', (error) => {
        const code = systemCode(error)
        resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT')
      })
    })
  } finally {
    address.close()
  }
}

interface Address {
  readonly path: string
  readonly close: () => void
}

// A socket's address holds 108 bytes on Linux and 104 elsewhere, and some systems cut a longer one without a word.
const longestAddress = 100

/** A path that fits into a socket's address: a long one is reached through its folder's descriptor. */
function openAddress(path: string): Address {
  if (path.length <= longestAddress && /^[ -~]*$/.test(path)) return { path, close: () => undefined }
  if (process.platform !== 'linux')
    throw new KmsError('INVALID_INPUT', `${dirname(path)} is too long for a lock: use a path of ≤ 60 characters`)
  const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  return { path: join('/proc/self/fd', String(folder), basename(path)), close: () => closeSync(folder) }
}
