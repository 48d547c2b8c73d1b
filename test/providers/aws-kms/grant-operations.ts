/** @node Grants: made, listed and ended; the endpoint has one caller, who needs none. */
import { randomBytes } from 'node:crypto'
import { demandEnabled, type KeyStore } from './keys.ts'
import type { Handler } from './operation.ts'
import { page } from './page.ts'
import { refusal } from './refusal.ts'

export function grantOperations(store: KeyStore, now: () => number): Readonly<Record<string, Handler>> {
  const grants = new Map<string, Readonly<Record<string, unknown>>>()

  function end(id: string, isDry: boolean): undefined {
    if (isDry ? !grants.has(id) : !grants.delete(id)) throw refusal('NotFoundException', `Grant ID ${id} not found`)
  }

  return {
    CreateGrant(body) {
      const key = store.findById(body.required('KeyId'))
      demandEnabled(key)
      const id = randomBytes(32).toString('hex')
      const grant = {
        KeyId: key.arn,
        GrantId: id,
        CreationDate: now() / 1000,
        GranteePrincipal: body.required('GranteePrincipal'),
        IssuingAccount: `arn:aws:iam::${store.account}:root`,
        Operations: body.list('Operations'),
        ...(body.has('RetiringPrincipal') && { RetiringPrincipal: body.text('RetiringPrincipal') }),
        ...(body.has('Name') && { Name: body.text('Name') }),
      }
      if (!body.flag('DryRun')) grants.set(id, grant)
      return { GrantId: id, GrantToken: randomBytes(120).toString('base64url') }
    },
    ListGrants(body) {
      const key = store.findById(body.required('KeyId'))
      return page(
        'Grants',
        [...grants.values()].filter(({ KeyId }) => KeyId === key.arn),
        body,
      )
    },
    RevokeGrant: (body) => end(body.required('GrantId'), body.flag('DryRun')),
    RetireGrant: (body) => end(body.required('GrantId'), body.flag('DryRun')),
  }
}
