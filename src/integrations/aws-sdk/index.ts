/**
 * Audit for an application that calls AWS KMS through the AWS SDK: one line, and not one call changes.
 *
 * @packageDocumentation
 */

export type { Audit, AuditOptions } from '../../audit/audit.ts'
export type { ContextCarrier } from '../../client.ts'
export { type AuditAwsKmsOptions, type AwsKmsAudit, auditAwsKms } from './attach.ts'
export type {
  AwsKmsClient,
  SdkArguments,
  SdkContext,
  SdkExchange,
  SdkHandler,
  SdkInnermost,
  SdkMiddleware,
  SdkPlace,
  SdkResult,
  SdkStack,
} from './sdk.ts'
