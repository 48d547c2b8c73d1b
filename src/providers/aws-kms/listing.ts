/** All keys of the account and region. */
import { KmsError } from '../../model/errors.ts'
import type { Signal } from '../../model/host.ts'
import type { Key, Scope } from '../../model/key.ts'
import type { KmsProvider } from '../../model/provider.ts'
import type { Alias } from './names.ts'
import type { Tools } from './use.ts'

/** Keys asked about at once. */
const width = 8
const keysAtOnce = 1000

export function listing({ service, views }: Tools): NonNullable<KmsProvider['operations']['listKeys']> {
  async function keyOf(
    arn: string,
    aliases: ReadonlyMap<string, readonly Alias[]>,
    scope: Scope,
    signal: Signal,
  ): Promise<Key | 'denied' | 'none'> {
    try {
      const { metadata } = await views.metadata(arn, signal)
      // What AWS made for its own services is nobody's to use.
      if (!metadata.isCustomers) return 'none'
      return await views.key(metadata, aliases.get(metadata.id) ?? [], scope, signal)
    } catch (error) {
      // A key's own policy may keep its secrets; a key may be destroyed meanwhile.
      if (error instanceof KmsError && error.code === 'ACCESS_DENIED') return 'denied'
      if (error instanceof KmsError && error.code === 'KEY_NOT_FOUND') return 'none'
      throw error
    }
  }

  return async (_input, call) => {
    const begun = await service.askAll('ListKeys', { Limit: keysAtOnce }, 'Keys', call.signal)
    const arns = begun.map((told) => told.text('KeyArn'))
    const aliases = arns.length === 0 ? new Map<string, readonly Alias[]>() : await views.everyAlias(call.signal)
    const found: (Key | 'denied' | 'none')[] = []
    let next = 0
    async function work(): Promise<void> {
      for (let at = next++; at < arns.length; at = next++)
        found[at] = await keyOf(arns[at] ?? '', aliases, call.scope, call.signal)
    }
    await Promise.all(Array.from({ length: Math.min(width, arns.length) }, work))
    const keys = found.filter((one) => typeof one !== 'string')
    return {
      keys,
      ...(begun[0] !== undefined && { provider: begun[0].trace }),
      ...(found.includes('denied') && { flags: ['keys_denied'] }),
    }
  }
}
