/** @node Which file systems keep their word about fsync, and which do not. */
import { KmsError } from '../model/errors.ts'
import { type FileSystem, fileError } from './filesystem.ts'

// Linux's `f_type` (statfs(2), linux/magic.h). Network: another machine may write, and locks and fsync are only as good
// as its server; FUSE, 9p and virtiofs are counted among them, because what stands behind them cannot be known.
const kinds: ReadonlyMap<number, { readonly name: string; readonly kind: 'local' | 'overlay' | 'memory' | 'network' }> =
  new Map([
    [0xef53, { name: 'ext4', kind: 'local' }],
    [0x58465342, { name: 'xfs', kind: 'local' }],
    [0x9123683e, { name: 'btrfs', kind: 'local' }],
    [0x2fc12fc1, { name: 'zfs', kind: 'local' }],
    [0xf2f52010, { name: 'f2fs', kind: 'local' }],
    [0xca451a4e, { name: 'bcachefs', kind: 'local' }],
    [0x3153464a, { name: 'jfs', kind: 'local' }],
    [0x794c7630, { name: 'overlay', kind: 'overlay' }],
    [0x01021994, { name: 'tmpfs', kind: 'memory' }],
    [0x858458f6, { name: 'ramfs', kind: 'memory' }],
    [0x6969, { name: 'nfs', kind: 'network' }],
    [0xff534d42, { name: 'cifs', kind: 'network' }],
    [0xfe534d42, { name: 'smb2', kind: 'network' }],
    [0x517b, { name: 'smb', kind: 'network' }],
    [0x00c36400, { name: 'ceph', kind: 'network' }],
    [0x0bd00bd0, { name: 'lustre', kind: 'network' }],
    [0x47504653, { name: 'gpfs', kind: 'network' }],
    [0x01161970, { name: 'gfs2', kind: 'network' }],
    [0x7461636f, { name: 'ocfs2', kind: 'network' }],
    [0x5346414f, { name: 'afs', kind: 'network' }],
    [0x01021997, { name: '9p', kind: 'network' }],
    [0x65735546, { name: 'fuse', kind: 'network' }],
    [0x786f4256, { name: 'vboxsf', kind: 'network' }],
    [0xbacbacbc, { name: 'vmhgfs', kind: 'network' }],
  ])

/** Name of the file system under `path`, such as `ext4`; `unknown-<hex>` for one not in the table. */
export async function filesystemOf(fs: FileSystem, path: string): Promise<string> {
  const number = await fs.filesystemNumber(path).catch((error) => {
    throw fileError('tell the file system of', path, error)
  })
  // Only Linux numbers its file systems for good.
  if (process.platform !== 'linux') return `unknown-${process.platform}`
  const unsigned = number >>> 0
  return kinds.get(unsigned)?.name ?? `unknown-${unsigned.toString(16)}`
}

export interface FilesystemVerdict {
  readonly warning?: string
}

/**
 * Refuses (`INVALID_INPUT`) memory and network file systems that `allow` does not name; warns of those allowed, of
 * overlays and of unknown ones.
 */
export function checkFilesystem(type: string, allow: readonly string[] = []): FilesystemVerdict {
  const kind = kindOf(type)
  if (kind === 'local') return {}
  if (kind === 'unknown') return { warning: `file system ${type} is not known to keep what it says it synced` }
  if (kind === 'overlay') return { warning: 'file system overlay lives as long as its container: mount a volume' }
  const why = kind === 'memory' ? 'forgets everything at a restart' : 'cannot promise one writer and durable writes'
  if (allow.includes(type)) return { warning: `file system ${type}, allowed by name, ${why}` }
  throw new KmsError('INVALID_INPUT', `file system ${type} ${why}: use a local disk, or allow '${type}' by name`)
}

/** Whether no other kernel can have `type` mounted at the same time. */
export function isLocal(type: string): boolean {
  return kindOf(type) === 'local'
}

function kindOf(type: string): 'local' | 'overlay' | 'memory' | 'network' | 'unknown' {
  for (const known of kinds.values()) if (known.name === type) return known.kind
  return 'unknown'
}
