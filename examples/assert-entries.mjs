// What a program leaves in its audit log can be tested like the rest of what it does, in any test runner or none: the
// assertions throw, and say what came nearest. A sink that fails on demand and a clock turned by hand show what happens when
// audit is down.
// prints: held: reading says who read
// prints: nearest: actor: expected "bob", found "alice"
// prints: refused while audit is down: AUDIT_REFUSED
// prints: and told afterwards: 1 call
import { KmsClient } from 'keytrail'
import { memoryKms } from 'keytrail/providers/memory'
import { expectEntries, fakeClock, faultySink } from 'keytrail/testing'

const clock = fakeClock()
const sink = faultySink({ clock })
const kms = new KmsClient({ provider: memoryKms(), audit: { required: [sink], clock } })
await kms.createKey({ slug: 'orders' })
const { ciphertext } = await kms.encrypt({ key: 'orders', plaintext: new TextEncoder().encode('two apples') })

const read = (user) => kms.with({ actor: { type: 'user', id: user } }).decrypt({ key: 'orders', ciphertext })

await read('alice')
expectEntries(sink).toHaveRecorded('kms.decrypt', { key: 'orders', outcome: 'success', actor: 'alice' })
expectEntries(sink).not.toHaveRecorded('kms.*', { outcome: 'failure' })
console.log('held: reading says who read')

try {
  expectEntries(sink).toHaveRecorded('kms.decrypt', { actor: 'bob' })
} catch (error) {
  const line = error.message.split('\n').find((text) => text.includes('actor: expected'))
  console.log(`nearest: ${line.trim()}`)
}

sink.become('failing')
await read('alice').catch((error) => console.log(`refused while audit is down: ${error.code}`))
await read('alice').catch(() => {}) // at the door: the sink is known to be down
sink.become('working')
await clock.advanceAsync(5_000)
const [up] = expectEntries(sink).toHaveRecorded('audit.sink_up')
console.log(`and told afterwards: ${up.details.refusedCalls} call`)
await kms.close()
