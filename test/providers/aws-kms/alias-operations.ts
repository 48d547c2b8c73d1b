/** Aliases. */
import { demandNotPending, type KeyStore } from './keys.ts'
import type { Handler } from './operation.ts'
import { page } from './page.ts'
import { refusal } from './refusal.ts'

export function aliasOperations(store: KeyStore, now: () => number): Readonly<Record<string, Handler>> {
  function checkName(name: string): void {
    if (!/^alias\/[a-zA-Z0-9/_-]+$/.test(name))
      throw refusal('ValidationException', 'Alias must start with the prefix "alias/". Please see the API reference.')
    if (name.startsWith('alias/aws/'))
      throw refusal('NotAuthorizedException', 'Aliases beginning with alias/aws/ are reserved')
  }

  return {
    CreateAlias(body) {
      const name = body.required('AliasName')
      checkName(name)
      const key = store.findById(body.required('TargetKeyId'))
      demandNotPending(key)
      if (store.aliases.has(name))
        throw refusal('AlreadyExistsException', `An alias with the name ${store.aliasArn(name)} already exists`)
      store.aliases.set(name, { name, createdAt: now(), updatedAt: now(), keyId: key.id })
      return undefined
    },
    UpdateAlias(body) {
      const name = body.required('AliasName')
      checkName(name)
      const key = store.findById(body.required('TargetKeyId'))
      const alias = store.aliases.get(name)
      if (alias === undefined) throw refusal('NotFoundException', `Alias ${store.aliasArn(name)} is not found.`)
      const before = store.keys.get(alias.keyId)
      if (before !== undefined && (before.usage !== key.usage || before.specName !== key.specName))
        throw refusal('ValidationException', 'Alias cannot be moved to a key of another type or usage')
      alias.keyId = key.id
      alias.updatedAt = now()
      return undefined
    },
    DeleteAlias(body) {
      const name = body.required('AliasName')
      if (!store.aliases.delete(name)) throw refusal('NotFoundException', `Alias ${store.aliasArn(name)} is not found.`)
      return undefined
    },
    ListAliases(body) {
      const asked = body.text('KeyId')
      const key = asked === undefined ? undefined : store.findById(asked)
      const aliases = [...store.aliases.values()]
        .filter(({ keyId }) => key === undefined || keyId === key.id)
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ name, keyId, createdAt, updatedAt }) => ({
          AliasName: name,
          AliasArn: store.aliasArn(name),
          TargetKeyId: keyId,
          CreationDate: createdAt / 1000,
          LastUpdatedDate: updatedAt / 1000,
        }))
      return page('Aliases', aliases, body)
    },
  }
}
