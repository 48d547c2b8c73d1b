/** `keytrail/providers/aws-kms`: keys in AWS KMS. Needs `@aws-sdk/client-kms`. */
export { type AwsKms, type AwsKmsOptions, awsKms } from './aws-kms.ts'
export type { AwsKmsClient } from './sdk.ts'
