/**
 * The KMS over HTTP: one fetch-style handler that serves the platform's API over a `KmsClient`, and its adapter to Node's `http`.
 *
 * @packageDocumentation
 */

export type {
  AccessQuestion,
  AskedKey,
  Authenticate,
  Authenticated,
  Authorize,
  RequestInfo,
} from './access.ts'
export type { AuditLogEntry, AuditLogFilter, AuditLogReader, AuditPage } from './audit-log.ts'
export type { Permission } from './endpoints.ts'
export type { AnyResponse, ApiBody, ApiReader, ApiRequest, ApiResponse } from './fetch.ts'
export { createKmsHandler, type KmsHandler } from './handler.ts'
export { type NodeRequest, type NodeResponse, toNodeHandler } from './node.ts'
export type { KmsHandlerOptions } from './options.ts'
export {
  type PlatformEntry,
  type PlatformEntryOptions,
  type PlatformExport,
  type PlatformExportOptions,
  platformEntry,
  platformExport,
} from './platform-entry.ts'
export { type ProjectClientsOptions, projectClients } from './projects.ts'
export type { WireKey } from './wire.ts'
