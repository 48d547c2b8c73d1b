/** @node An application that schedules a key's deletion, to be killed while AWS is answering. */
import { KMSClient, ListKeysCommand, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms'
import { auditAwsKms } from '../../../src/integrations/aws-sdk/index.ts'
import { fileSigner, openTrail } from '../../../src/trail/index.ts'

const [folder = '', endpoint = '', accessKeyId = '', secretAccessKey = '', KeyId = ''] = process.argv.slice(2)
const trail = await openTrail({ path: `${folder}/audit`, signer: await fileSigner(`${folder}/signer.key`) })
const kms = new KMSClient({ region: 'eu-west-1', endpoint, credentials: { accessKeyId, secretAccessKey } })
const actor = { type: 'user', id: 'alice' } as const
auditAwsKms(kms, { audit: { required: [trail] }, context: { current: () => ({ actor }) } })
await kms.send(new ListKeysCommand({}))
await kms.send(new ScheduleKeyDeletionCommand({ KeyId }))
