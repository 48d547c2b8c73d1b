/** @node A Secrets Manager that puts one value after another, to be killed in between, or at a step that it is told. */
import { subscribe } from 'node:diagnostics_channel'
import process from 'node:process'
import type { AuditEvent } from '../../../src/audit/audit.ts'
import { KmsClient } from '../../../src/client.ts'
import { type SecretStore, secretsManager } from '../../../src/integrations/secrets-manager/index.ts'
import { openSecretFiles } from '../../../src/integrations/secrets-manager/secret-files.ts'
import { openLocalKms } from '../../../src/providers/local/index.ts'
import { fileSigner, openTrail } from '../../../src/trail/index.ts'

const [folder = '', rootKeyFile = '', step = ''] = process.argv.slice(2)
const allowFilesystem = ['tmpfs']
const local = await openLocalKms({ path: `${folder}/keys`, rootKeyFile, allowFilesystem })
const signer = await fileSigner(`${folder}/signer.key`)
const trail = await openTrail({ path: `${folder}/audit`, signer, allowFilesystem })
const kms = new KmsClient({ provider: local, audit: { required: [trail] } })
const store = await openSecretFiles({ path: `${folder}/secrets`, allowFilesystem })
const secrets = secretsManager({ kms, store: stoppingAt(step, store) })
let armed = false
process.stdout.write('ready\n')

if (step === 'anywhere') {
  const { versions } = await secrets.describe({ path: '/a' })
  for (let number = versions.length + 1; ; number++) {
    const { version } = await secrets.put({ path: '/a', secretString: `value ${number}` })
    process.stdout.write(`put ${version} value ${number}\n`)
  }
}
armed = true
if (step === 'deleted') await secrets.delete({ path: '/a' })
else if (step === 'decrypted') await secrets.get({ path: '/a' })
else await secrets.put({ path: '/a', secretString: 'the last' })

/** Dies, without a word, before the store is written to, or after. */
function stoppingAt(where: string, inner: SecretStore): SecretStore {
  return {
    ...inner,
    async write(change) {
      if (armed && where === 'encrypted') process.kill(process.pid, 'SIGKILL')
      await inner.write(change)
      if (armed && (where === 'kept' || where === 'deleted')) process.kill(process.pid, 'SIGKILL')
    },
    async readValue(secret, version) {
      // The entry of the decryption is accepted some time after this, that of the secret after it.
      if (armed && where === 'decrypted') killWhenDecrypted()
      return inner.readValue(secret, version)
    },
  }
}

function killWhenDecrypted(): void {
  subscribe('keytrail', (message) => {
    // Only the emitter publishes on this channel.
    const event = message as AuditEvent
    if (event.type === 'entry' && event.entry.action === 'secret.get_value') process.kill(process.pid, 'SIGKILL')
  })
}
