/**
 * keytrail: a KMS client that leaves an audit trail.
 *
 * @packageDocumentation
 */

export type { Audit, AuditEvent, AuditHealth, AuditOptions, RequiredField, SinkHealth } from './audit/audit.ts'
export { createAudit } from './audit/emitter.ts'
export type { FieldPolicy, PolicyField } from './audit/fields.ts'
export type {
  Called,
  CallOptions,
  ContextCarrier,
  KmsClientOptions,
  KmsHealth,
  Settled,
} from './client.ts'
export { KmsClient } from './client.ts'
export { decodeCiphertext, encodeCiphertext } from './crypto/frame.ts'
export type { Clock } from './model/clock.ts'
export type * from './model/context.ts'
export type * from './model/entry.ts'
export type { DecryptFailure, Evidence, KmsErrorCode, KmsErrorOptions } from './model/errors.ts'
export { errorCodes, KmsError } from './model/errors.ts'
export type { HttpResponse, Signal } from './model/host.ts'
export type * from './model/key.ts'
export { lineOf } from './model/line.ts'
export type * from './model/middleware.ts'
export type * from './model/operation.ts'
export { defaultLimits, operations } from './model/operation.ts'
export type * from './model/provider.ts'
export type { Signer } from './model/signer.ts'
export type * from './model/sink.ts'
export { version } from './model/version.ts'
export {
  type UnwrapKeyMaterialInput,
  unwrapKeyMaterial,
  type WrapKeyMaterialInput,
  wrapKeyMaterial,
} from './wrapping.ts'
