/** What an answer becomes on its way out: with who gave it, and who was asked before. */
import type { Key } from '../model/key.ts'
import type { Input, Operation, Output, Used } from '../model/operation.ts'
import type { KmsProvider } from '../model/provider.ts'

type Named = Pick<KmsProvider, 'name'>

/** What opened it, or what re-encrypted it at once. */
export type Moving = Output<'decrypt'> | Output<'reEncrypt'>

export function moved(opened: Output<'decrypt'>, sealed: Output<'encrypt'>): Output<'reEncrypt'> {
  const { key, keyVersion, provider: opener } = opened
  const durationMs = sum(opener?.durationMs, sealed.provider?.durationMs)
  return {
    key,
    ...(keyVersion !== undefined && { keyVersion }),
    ciphertext: sealed.ciphertext,
    destinationKey: sealed.key,
    ...(sealed.keyVersion !== undefined && { destinationKeyVersion: sealed.keyVersion }),
    ...(sealed.usage && { usage: sealed.usage }),
    // Who sealed it, with its name for the request; who opened it is a flag.
    provider: { ...sealed.provider, ...(durationMs !== undefined && { durationMs }) },
    flags: [...(sealed.flags ?? []), ...(opener?.name === undefined ? [] : [`opened_by.${opener.name}`])],
  }
}

export function openingOf({ key, ciphertext, encryptionContext }: Input<'reEncrypt'>): Input<'decrypt'> {
  return { key, ciphertext, ...(encryptionContext && { encryptionContext }) }
}

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined && b === undefined ? undefined : (a ?? 0) + (b ?? 0)
}

/** With who answered; of a provider that stands for several itself, the one behind it. */
export function told<T extends Used>(provider: Named, output: T): T {
  return { ...output, provider: { ...output.provider, name: output.provider?.name ?? provider.name } }
}

export function flagged<T extends Used>(output: T, more: readonly string[]): T {
  if (more.length === 0) return output
  // An answer with more of them than eight is none.
  return { ...output, flags: [...(output.flags ?? []), ...more].slice(0, 8) }
}

export function refusedFlag(name: string): string {
  return `refused_by.${name}`
}

export function shown<O extends Operation>(output: Output<O>, provider: Named): Output<O> {
  const { key } = output
  return key !== undefined && 'versions' in key ? { ...output, key: marked(key as Key, provider) } : output // as describeKey has it
}

export function marked(key: Key, { name }: Named): Key {
  return { ...key, annotations: { ...key.annotations, 'keytrail/provider': name } }
}

/** Nothing new is made by an old one: its keys never fall due. */
export function restful({ nextRotationAt: _never, ...key }: Key): Key {
  return key
}
