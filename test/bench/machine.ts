/** @node One line about where the figures come from. */
import { availableParallelism, cpus, release, tmpdir, type } from 'node:os'
import { nodeFileSystem } from '../../src/storage/filesystem.ts'
import { filesystemOf } from '../../src/storage/filesystem-type.ts'

export async function machineLine(): Promise<string> {
  return [
    cpus()[0]?.model.trim() ?? 'unknown processor',
    `${availableParallelism()} cores`,
    `${type()} ${release()}`,
    `Node ${process.versions.node}`,
    `OpenSSL ${process.versions.openssl}`,
    `${await filesystemOf(nodeFileSystem, tmpdir())} under ${tmpdir()}`,
  ].join(' · ')
}
