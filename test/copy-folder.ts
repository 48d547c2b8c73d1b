/** @node Copies a folder with the modes of its folders, which keystores and trails look at. */
import { cpSync } from 'node:fs'

/** Always with a filter: without one, Node 22 and 24 give each folder that they make the mode of any new one. */
export function copyFolder(from: string, to: string, filter: (path: string) => boolean = () => true): void {
  cpSync(from, to, { recursive: true, filter })
}
