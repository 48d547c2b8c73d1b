/** One folder of a tree that is only a list of paths: whatever stands below a folder in it is passed over in one step. */
import type { SecretQuery, StoredSecret } from './store.ts'

export interface Browsing {
  readonly list: (query: SecretQuery) => readonly StoredSecret[] | Promise<readonly StoredSecret[]>
  readonly isShown: (secret: StoredSecret) => boolean
}

export interface Browsed {
  readonly folders: readonly string[]
  readonly secrets: readonly StoredSecret[]
  readonly next?: string
}

/** `page.prefix` ends in `/`. Folders and secrets together are at most `page.limit`. */
export async function browsed(page: SecretQuery, { list, isShown }: Browsing): Promise<Browsed> {
  const { prefix, limit } = page
  const folders: string[] = []
  const secrets: StoredSecret[] = []
  let after = page.after.endsWith('/') && page.after.length > prefix.length ? behind(page.after) : page.after
  for (;;) {
    // One more than fits tells whether there is more.
    const wanted = limit - folders.length - secrets.length + 1
    const found = await list({ prefix, after, limit: wanted })
    for (const secret of found) {
      if (secret.path <= after) continue
      const folder = folderIn(prefix, secret.path)
      if (!isShown(secret)) {
        after = secret.path
        continue
      }
      if (folders.length + secrets.length === limit) return { folders, secrets, next: lastOf(folders, secrets) }
      if (folder === undefined) secrets.push(secret)
      else folders.push(folder)
      after = folder === undefined ? secret.path : behind(folder)
    }
    if (found.length < wanted) return { folders, secrets }
  }
}

/** The folder directly within `prefix` in which `path` is; undefined if it is in `prefix` itself. */
function folderIn(prefix: string, path: string): string | undefined {
  const slash = path.indexOf('/', prefix.length)
  return slash < 0 ? undefined : path.slice(0, slash + 1)
}

/** Comes after all that is in the folder and before all that is not: no path has this character. */
function behind(folder: string): string {
  return `${folder}\u007f`
}

/** The last of both in the order of paths. */
function lastOf(folders: readonly string[], secrets: readonly StoredSecret[]): string {
  const [folder = '', path = ''] = [folders.at(-1), secrets.at(-1)?.path]
  return [folder, path].sort().at(-1) ?? ''
}
