// An access policy is a middleware: it runs inside the audit, so whom it refuses is on record too. It sees the resolved
// key, so a rule on a slug holds even when the caller names the key by its identity.
// prints: kms.decrypt failure ACCESS_DENIED payroll by intern
import { KmsClient, KmsError } from 'keytrail'
import { memoryKms } from 'keytrail/providers/memory'
import { memorySink } from 'keytrail/sinks/memory'

const mayDecrypt = { payroll: ['payroll-service'] }

const sink = memorySink()
const kms = new KmsClient({
  provider: memoryKms(),
  audit: { required: [sink] },
  middleware: [
    (call, next) => {
      const allowed = mayDecrypt[call.key?.slug]
      if (call.action === 'kms.decrypt' && allowed && !allowed.includes(call.context.actor?.id))
        throw new KmsError('ACCESS_DENIED', 'this actor may not decrypt with this key')
      return next()
    },
  ],
})

const { key } = await kms.createKey({ slug: 'payroll' })
const { ciphertext } = await kms.encrypt({ key: 'payroll', plaintext: new Uint8Array([1, 2, 3]) })

const intern = kms.with({ actor: { type: 'user', id: 'intern' } })
await intern.decrypt({ key: key.identity, ciphertext }).catch((error) => console.error(`refused: ${error.code}`))

const entry = sink.entries.at(-1)
console.log(`${entry.action} ${entry.outcome} ${entry.error} ${entry.keySlug} by ${entry.actor.id}`)
await kms.close()
