/** @node A process of its own for processes.test.ts: opens the token and does one thing. Arguments: what, label, pin, module. */
import { KmsClient } from '../../../src/client.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { openPkcs11 } from '../../../src/providers/pkcs11/index.ts'
import { memorySink } from '../../../src/sinks/memory.ts'

const [what = '', token = '', pin = '', module = ''] = process.argv.slice(2)
const provider = await openPkcs11({ module, token, pin })
const kms = new KmsClient({ provider, audit: { required: [memorySink()] } })

if (what === 'rotate') {
  await kms.describeKey({ key: 'contested' })
  process.stdout.write('ready\n')
  await new Promise((resolve) => process.stdin.once('data', resolve))
  process.stdin.unref()
  try {
    const { keyVersion } = await kms.rotate({ key: 'contested', expectLatestVersion: 1 })
    process.stdout.write(`made ${keyVersion}\n`)
  } catch (error) {
    process.stdout.write(`${error instanceof KmsError ? error.code : String(error)}\n`)
  }
  await kms.close()
  await provider.close()
} else {
  // Ends without closing anything.
  await kms.hmac({ key: 'mac', input: new Uint8Array(3) })
  process.stdout.write('done\n')
}
