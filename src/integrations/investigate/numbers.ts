/** Numbers in sentences. */

/** `1,204 entries`, `1 entry`. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`
}
