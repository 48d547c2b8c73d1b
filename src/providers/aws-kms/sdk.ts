/** The one file that names `@aws-sdk/client-kms`: the commands that the provider sends, and how one is sent. */
import {
  CancelKeyDeletionCommand,
  type CancelKeyDeletionCommandInput,
  CreateAliasCommand,
  type CreateAliasCommandInput,
  CreateKeyCommand,
  type CreateKeyCommandInput,
  DecryptCommand,
  type DecryptCommandInput,
  DescribeKeyCommand,
  type DescribeKeyCommandInput,
  DisableKeyCommand,
  type DisableKeyCommandInput,
  DisableKeyRotationCommand,
  type DisableKeyRotationCommandInput,
  EnableKeyCommand,
  type EnableKeyCommandInput,
  EnableKeyRotationCommand,
  type EnableKeyRotationCommandInput,
  EncryptCommand,
  type EncryptCommandInput,
  GenerateDataKeyCommand,
  type GenerateDataKeyCommandInput,
  GenerateMacCommand,
  type GenerateMacCommandInput,
  GetKeyRotationStatusCommand,
  type GetKeyRotationStatusCommandInput,
  GetPublicKeyCommand,
  type GetPublicKeyCommandInput,
  type KMSClient,
  ListAliasesCommand,
  type ListAliasesCommandInput,
  ListKeyRotationsCommand,
  type ListKeyRotationsCommandInput,
  ListKeysCommand,
  type ListKeysCommandInput,
  ListResourceTagsCommand,
  type ListResourceTagsCommandInput,
  ReEncryptCommand,
  type ReEncryptCommandInput,
  RotateKeyOnDemandCommand,
  type RotateKeyOnDemandCommandInput,
  ScheduleKeyDeletionCommand,
  type ScheduleKeyDeletionCommandInput,
  SignCommand,
  type SignCommandInput,
  VerifyCommand,
  type VerifyCommandInput,
  VerifyMacCommand,
  type VerifyMacCommandInput,
} from '@aws-sdk/client-kms'
import type { Signal } from '../../model/host.ts'

/** What of a `KMSClient` is used. */
export type AwsKmsClient = Pick<KMSClient, 'send'>

/** Each command that may be sent, and its input. */
export interface CommandInputs {
  CancelKeyDeletion: CancelKeyDeletionCommandInput
  CreateAlias: CreateAliasCommandInput
  CreateKey: CreateKeyCommandInput
  Decrypt: DecryptCommandInput
  DescribeKey: DescribeKeyCommandInput
  DisableKey: DisableKeyCommandInput
  DisableKeyRotation: DisableKeyRotationCommandInput
  EnableKey: EnableKeyCommandInput
  EnableKeyRotation: EnableKeyRotationCommandInput
  Encrypt: EncryptCommandInput
  GenerateDataKey: GenerateDataKeyCommandInput
  GenerateMac: GenerateMacCommandInput
  GetKeyRotationStatus: GetKeyRotationStatusCommandInput
  GetPublicKey: GetPublicKeyCommandInput
  ListAliases: ListAliasesCommandInput
  ListKeyRotations: ListKeyRotationsCommandInput
  ListKeys: ListKeysCommandInput
  ListResourceTags: ListResourceTagsCommandInput
  ReEncrypt: ReEncryptCommandInput
  RotateKeyOnDemand: RotateKeyOnDemandCommandInput
  ScheduleKeyDeletion: ScheduleKeyDeletionCommandInput
  Sign: SignCommandInput
  Verify: VerifyCommandInput
  VerifyMac: VerifyMacCommandInput
}

export type CommandName = keyof CommandInputs
export type KeySpec = NonNullable<CreateKeyCommandInput['KeySpec']>
export type KeyUsage = NonNullable<CreateKeyCommandInput['KeyUsage']>
export type SigningAlgorithm = NonNullable<SignCommandInput['SigningAlgorithm']>
export type MacAlgorithm = NonNullable<GenerateMacCommandInput['MacAlgorithm']>
export type EncryptionAlgorithm = NonNullable<EncryptCommandInput['EncryptionAlgorithm']>

type Command = Parameters<KMSClient['send']>[0]
type SendOptions = NonNullable<Parameters<KMSClient['send']>[1]>

const commands: { readonly [N in CommandName]: new (input: CommandInputs[N]) => object } = {
  CancelKeyDeletion: CancelKeyDeletionCommand,
  CreateAlias: CreateAliasCommand,
  CreateKey: CreateKeyCommand,
  Decrypt: DecryptCommand,
  DescribeKey: DescribeKeyCommand,
  DisableKey: DisableKeyCommand,
  DisableKeyRotation: DisableKeyRotationCommand,
  EnableKey: EnableKeyCommand,
  EnableKeyRotation: EnableKeyRotationCommand,
  Encrypt: EncryptCommand,
  GenerateDataKey: GenerateDataKeyCommand,
  GenerateMac: GenerateMacCommand,
  GetKeyRotationStatus: GetKeyRotationStatusCommand,
  GetPublicKey: GetPublicKeyCommand,
  ListAliases: ListAliasesCommand,
  ListKeyRotations: ListKeyRotationsCommand,
  ListKeys: ListKeysCommand,
  ListResourceTags: ListResourceTagsCommand,
  ReEncrypt: ReEncryptCommand,
  RotateKeyOnDemand: RotateKeyOnDemandCommand,
  ScheduleKeyDeletion: ScheduleKeyDeletionCommand,
  Sign: SignCommand,
  Verify: VerifyCommand,
  VerifyMac: VerifyMacCommand,
}

/** `retried`: as the client's retry mode has it. `once`: never repeated, whatever the client's retry mode. */
export type Attempts = 'retried' | 'once'

export interface Sending<N extends CommandName> {
  readonly name: N
  readonly input: CommandInputs[N]
  readonly attempts: Attempts
  readonly signal: Signal | undefined
}

/** Sends a command and returns what the SDK made of the answer, which is not trusted here; rejects with the SDK's errors. */
export async function send<N extends CommandName>(client: AwsKmsClient, sending: Sending<N>): Promise<unknown> {
  const { name, input, attempts, signal } = sending
  // Every command of the client is one that its `send` takes; its overloads cannot be told by name.
  const command = new commands[name](input) as Command
  if (attempts === 'once') neverRetry(command)
  // `Signal` is the host's own AbortSignal, typed without the DOM.
  return client.send(command, (signal === undefined ? {} : { abortSignal: signal }) as SendOptions)
}

/**
 * Puts nothing in the place of the SDK's retry middleware, for this command alone: a second client without retries would
 * lack the middleware that the application added to its own.
 */
function neverRetry(command: Command): void {
  command.middlewareStack.add((next) => (args) => next(args), {
    name: 'retryMiddleware',
    step: 'finalizeRequest',
    priority: 'high',
    override: true,
  })
}
